"""What only one module of the package may spell out; the others import it from there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import bolus

OWNERS = {
    "the robust SD": (r"1\.4826", "metrics.py"),
    "Pearson's correlation of maps": (r"corrcoef", "metrics.py"),
    "the way from RAS to LPS": (r"diag\(\[-1|MIRROR = ", "axes.py"),
    "the five maps": (r'MAP_UNITS = |"cbf", "cbv", "mtt", "tmax", "ttp"', "types.py"),
    "what every page says": (r'"Research use', "plain_text.py"),
    "files that appear whole": (r"fsync|part\.replace|part\.rename\(path", "files/atomic.py"),
}


@pytest.mark.parametrize("what", OWNERS)
def test_no_second_module_spells_it_out(what: str) -> None:
    pattern, owner = OWNERS[what]
    package = Path(bolus.__file__).parent
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(pattern, path.read_text(encoding="utf-8"))
    }
    assert found == {owner}
