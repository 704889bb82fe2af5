"""What reading a file, or a member of a zip, may raise."""

from __future__ import annotations

import lzma
import zipfile
import zlib

READ_ERRORS = (
    OSError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    ValueError,
    NotImplementedError,
    RuntimeError,
    # a damaged LZMA member may request any amount of memory
    MemoryError,
)
