"""A folder for numba's compiled kernels, even where bolus is installed read-only.

numba stores them next to the source or in the user's cache folder, and refuses to work where it
can write to neither, as is usual in containers.
"""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

VARIABLE = "NUMBA_CACHE_DIR"


def ensure_kernel_cache() -> None:
    """Point numba to a temporary folder if there is no other; call before numba is imported."""
    if os.environ.get(VARIABLE) or _writable(Path(__file__).parent) or _writable(_user_cache()):
        return
    # private and for this process only: compiled code is executed, so nobody else may write there
    folder = tempfile.mkdtemp(prefix="bolus-kernels-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    os.environ[VARIABLE] = folder


def _user_cache() -> Path:
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "numba"


def _writable(folder: Path) -> bool:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return os.access(folder, os.W_OK | os.X_OK)
