"""The header of a map that bolus wrote, read without the libraries that read images.

`bolus view` looks at every map of a folder before its first answer, and those libraries take longer
to load than that answer.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from bolus.axes import from_nifti
from bolus.files.regular_file import open_regular
from bolus.types import Geometry

BYTES = 348
"""Of a NIfTI-1 header (nifti1.h), whose fields the numbers below are."""
_DIM, _BITS, _SFORM, _ROWS = 40, 72, 254, 280


@dataclass(frozen=True)
class Head:
    """What the header of a volume says."""

    geometry: Geometry
    bytes_of_value: int


def read_head(path: Path) -> Head:
    """The header of a ``.nii.gz`` file of bolus: NIfTI-1, little-endian, one volume, with sform.

    Raises
    ------
    OSError
        The file can't be read, or is no regular file.
    ValueError
        It is something else.
    """
    with open_regular(path) as stream, gzip.GzipFile(fileobj=stream) as plain:
        try:
            head = plain.read(BYTES)
        except (EOFError, zlib.error) as error:
            raise ValueError("cut off") from error
    if len(head) < BYTES or struct.unpack_from("<i", head)[0] != BYTES:
        raise ValueError("no NIfTI-1")
    dims = struct.unpack_from("<8h", head, _DIM)
    if dims[0] != 3 and not (3 < dims[0] < 8 and all(n == 1 for n in dims[4 : dims[0] + 1])):
        raise ValueError("not one volume")
    if struct.unpack_from("<h", head, _SFORM)[0] <= 0:
        raise ValueError("no sform")
    rows = np.array(struct.unpack_from("<12f", head, _ROWS), np.float64).reshape(3, 4)
    if not np.isfinite(rows).all():
        raise ValueError("no affine")
    affine = from_nifti(np.vstack([rows, [0, 0, 0, 1]]))
    x, y, z = dims[1:4]
    return Head(Geometry((z, y, x), affine), struct.unpack_from("<h", head, _BITS)[0] // 8)
