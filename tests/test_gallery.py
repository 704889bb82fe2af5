"""Every example of the gallery has drawn its picture.

`make docs` runs them all and stops at the first that fails or warns; then this looks at the
pictures.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

DOCS = Path(__file__).parents[1] / "docs"
EXAMPLES = sorted((DOCS / "examples").glob("plot_*.py"))


def test_there_are_at_least_eight() -> None:
    assert len(EXAMPLES) >= 8


@pytest.mark.docs
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_has_drawn_its_picture(example: Path) -> None:
    picture = DOCS / "_build" / "html" / "_images" / f"sphx_glr_{example.stem}_001.png"
    assert picture.stat().st_mtime > example.stat().st_mtime
    with Image.open(picture) as image:
        colours = image.convert("RGB").getcolors(maxcolors=2**24)
        assert image.width > 400
        # more than axes on white
        assert len(colours or []) > 50
