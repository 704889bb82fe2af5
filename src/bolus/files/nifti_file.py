"""NIfTI files from outside: no more is unpacked than the header says, and damage is detected.

The checksum of a ``.nii.gz`` stands at its end, which a reader that stops after the last voxel
never sees; a header may claim any shape; a small file may unpack to more than the memory holds.
"""

from __future__ import annotations

import gzip
import logging
import math
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

from bolus.files.regular_file import open_regular

GZIP = b"\x1f\x8b"
MAGIC = {348: b"n+1\0", 540: b"n+2\0"}
MAGIC_AT = {348: 344, 540: 4}
"""By the size of the header: what a file with header and values in one has, and where (nifti1.h,
nifti2.h)."""
LARGEST_OFFSET = 2**26
"""Where the values begin at the latest, after the header and what tools added to it."""
MOST_REST_BYTES = 2**20
"""Tools pad files by less than that."""
CHUNK_BYTES = 2**18
INTERCEPT_LACKS = "intercept is no number"
"""In the image's ``extra``, where it was taken as 0."""


@contextmanager
def nifti_image(file: Path | BinaryIO, most_bytes: int) -> Iterator[Any]:
    """A NIfTI file as nibabel's image; its values are read by `whole_values`, inside the context.

    Parameters
    ----------
    file
        Its path, or its bytes as a stream.
    most_bytes
        That its values may have in the file.

    Raises
    ------
    OSError, EOFError, zlib.error
        It is no regular file, or can't be read.
    ValueError, and nibabel's own errors
        It is not NIfTI, or claims to be larger than ``most_bytes``.
    """
    with _opened(file) as stream, quiet():
        yield _image(stream, most_bytes)


def whole_values(image: Any, dtype: type[np.floating[Any]] | None = None) -> NDArray[Any]:
    """All values of a file in its order of axes, scaled as it says, once the whole file is read.

    Parameters
    ----------
    dtype
        Of the result; by default the file's, or float64 where it has a scale.

    Raises
    ------
    OSError, EOFError, zlib.error
        It is cut off, or differs from its checksum.
    ValueError
        It holds more than it claims.
    """
    values: NDArray[Any] = np.asanyarray(image.dataobj, dtype=dtype)
    _read_to_the_end(image.dataobj.file_like)
    return values


@contextmanager
def _opened(file: Path | BinaryIO) -> Iterator[BinaryIO]:
    with open_regular(file) if isinstance(file, Path) else file as stream:
        packed = stream.read(len(GZIP)) == GZIP
        stream.seek(0)
        # GzipFile reads like a file, and isn't typed as one
        yield cast(BinaryIO, gzip.GzipFile(fileobj=stream)) if packed else stream


def _image(stream: BinaryIO, most_bytes: int) -> Any:
    import nibabel

    head = stream.read(max(MAGIC_AT))
    stream.seek(0)
    kinds = {348: nibabel.Nifti1Image, 540: nibabel.Nifti2Image}
    sizes = (int.from_bytes(head[:4], "little"), int.from_bytes(head[:4], "big"))
    size = next((n for n in sizes if n in kinds), None)
    if size is None or not head.startswith(MAGIC[size], MAGIC_AT[size]):
        raise ValueError("not NIfTI with header and values in one file")
    kind: Any = kinds[size]
    header = kind.header_class.from_fileobj(stream)
    offset = int(header.get_data_offset())
    shape = header.get_data_shape()
    count = math.prod(int(n) for n in shape) * int(header.get_data_dtype().itemsize)
    if not kind.header_class.sizeof_hdr <= offset <= LARGEST_OFFSET:
        raise ValueError("its values begin nowhere")
    if min(shape, default=0) < 1 or count > most_bytes:
        raise ValueError(f"its shape {shape} is none that fits")
    stream.seek(0)
    slope, intercept = float(header["scl_slope"]), float(header["scl_inter"])
    if slope == 1.0 and not math.isfinite(intercept):
        # nibabel refuses them; programs that don't scale write them
        header["scl_inter"] = 0.0
        values = kind.ImageArrayProxy(stream, header.copy(), mmap=False)
        return kind(values, header.get_best_affine(), header, {INTERCEPT_LACKS: True})
    return kind.from_file_map({"image": nibabel.FileHolder(fileobj=cast(Any, stream))}, mmap=False)


def _read_to_the_end(stream: BinaryIO) -> None:
    left = MOST_REST_BYTES
    while chunk := stream.read(CHUNK_BYTES):
        left -= len(chunk)
        if left < 0:
            raise ValueError("it holds more than its header says")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep nibabel's repairs of odd headers off standard error; ours are findings."""
    logger = logging.getLogger("nibabel.global")
    before = logger.disabled
    logger.disabled = True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.disabled = before
