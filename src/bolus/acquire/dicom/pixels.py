"""From stored pixels to Hounsfield units.

Uncompressed pixels are read in this process, straight from their place in the file.  Compressed
ones go through C and C++ libraries that abort the process on damaged data, so they are decoded in
child processes (``child``, ``decoder``), which may die without harm.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from bolus.acquire.dicom.decoder_process import JPEG_XL, PLUGINS, Decoder, Stored
from bolus.acquire.dicom.deflate import inflated
from bolus.acquire.dicom.headers import Encoding, Slice
from bolus.acquire.dicom.timing import most_lost
from bolus.acquire.memory import check_memory
from bolus.acquire.read_errors import READ_ERRORS
from bolus.errors import DamagedFile
from bolus.types import Float32Array, IntArray

NATIVE = frozenset(
    {
        "",  # no file meta information: pydicom guessed the byte order
        "1.2.840.10008.1.2",
        "1.2.840.10008.1.2.1",
        "1.2.840.10008.1.2.1.99",
        "1.2.840.10008.1.2.2",
    }
)
LOSSY = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in ("50", "51", "81", "91", "203"))

AIR_HU = -1024.0
"""Values below (padding outside the field of view, -3024 on GE) carry no information."""
LARGEST_HU = 3071.0
"""Highest value of a 12-bit CT image; padding values above it are padding, below maybe tissue."""
SHORT_BITS = 12
MAX_DECODERS = 4
LEAST_BITS = 8
"""CT stores 12 bits or more; 8 in lossy secondary copies."""
KEPT_FILES = 2
"""Number of whole files kept in memory, to compare duplicates with each other."""
IMAGES_PER_DECODER = 64
"""Starting a child takes as long as decoding about 100 JPEG Lossless images."""

Job = tuple[tuple[int, ...], Slice]
"""Place (t, z) of an image and the image."""
Identity = tuple[str, int]
"""Name of the file and index of the image in it."""
Damaged = Mapping[Identity, DamagedFile]
"""Reason for each image that can't be decoded."""


def identity(one: Slice) -> Identity:
    """What distinguishes an image from all others of the exam."""
    return one.name, one.encoding.frame


def read_frames(slices: Sequence[Slice], image: IntArray) -> tuple[Float32Array, Damaged]:
    """Decode the images of an exam.

    Parameters
    ----------
    image : (T, Z) int
        Index into ``slices`` of each frame and slice.

    Returns
    -------
    frames : (T, Z, Y, X) float32, HU, at least -1024 but where `may_be_unsigned`
    damaged
        Images whose pixels are cut off or damaged; undefined in ``frames``.

    Raises
    ------
    DamagedFile
        Naming the first damaged image, if more frames are damaged than may be lost.
    TooLarge
        If processing the exam needs more memory than there is.
    """
    rows, columns = slices[0].rows, slices[0].columns
    check_memory(image.size, rows, columns, slices[0].name)
    frames = np.empty((*image.shape, rows, columns), dtype=np.float32)
    jobs = [(place, slices[int(k)]) for place, k in np.ndenumerate(image)]
    jobs.sort(key=lambda job: identity(job[1]))
    native = [job for job in jobs if job[1].encoding.syntax in NATIVE]
    packed = [job for job in jobs if job[1].encoding.syntax in PLUGINS]
    damaged = _fill_native(native, frames)
    damaged |= _decode_all(packed, frames) if packed else {}
    if len({place[0] for place, one in jobs if identity(one) in damaged}) > most_lost(len(frames)):
        raise damaged[min(damaged)]
    return frames, damaged


def _fill(
    jobs: Sequence[Job], frames: Float32Array, decode: Callable[[Slice], Stored]
) -> dict[Identity, DamagedFile]:
    """Fill in images until more frames are damaged than may be lost; gives the damaged ones."""
    damaged: dict[Identity, DamagedFile] = {}
    lost = set()
    for place, one in jobs:
        try:
            hounsfield(decode(one), one.encoding, out=frames[place])
        except DamagedFile as error:
            damaged[identity(one)] = error
            lost.add(place[0])
            if len(lost) > most_lost(len(frames)):
                break
    return damaged


def _fill_native(jobs: Sequence[Job], frames: Float32Array) -> dict[Identity, DamagedFile]:
    stored = StoredBytes()
    return _fill(jobs, frames, lambda one: _native(one, stored.of(one)))


def check_encoding(one: Slice) -> None:
    """Refuse what can't be decoded, before anything is allocated for it.

    Raises
    ------
    DamagedFile
        If the pixels are missing, too few, too many, or of an unknown codec.
    """
    pixels = one.encoding
    if pixels.syntax in JPEG_XL and pixels.syntax not in PLUGINS:
        raise DamagedFile(
            f"{one.name}: is compressed with JPEG XL, which bolus decodes where the package "
            "imagecodecs is installed (pip install imagecodecs); or have the archive send the exam "
            "uncompressed, or decompress it (dcm4che: dcm2dcm)."
        )
    if pixels.syntax not in NATIVE and pixels.syntax not in PLUGINS:
        raise DamagedFile(
            f"{one.name}: transfer syntax {pixels.syntax} is not supported; export the exam "
            "uncompressed (explicit little endian)."
        )
    if pixels.offset < 0:
        raise DamagedFile(f"{one.name}: has no pixels, it was cut off; copy or export it again.")
    sane = pixels.bits_allocated in (8, 16, 32)
    sane &= LEAST_BITS <= pixels.bits_stored <= pixels.bits_allocated
    if not sane:
        raise DamagedFile(
            f"{one.name}: {pixels.bits_stored} bits stored in {pixels.bits_allocated} are not "
            "possible in a CT image; the header is damaged."
        )
    rest = pixels.length - _frame_bytes(one) * pixels.frames
    if pixels.syntax in NATIVE and rest >= max(4, _frame_bytes(one) // max(1, one.rows)):
        raise DamagedFile(
            f"{one.name}: holds more pixels than {pixels.frames} x {one.rows} x {one.columns}, the "
            "size that its header gives; the header is damaged. Copy or export the exam again."
        )
    end = _frame_bytes(one) * (pixels.frame + 1)
    if pixels.syntax in NATIVE and end > pixels.length:
        raise DamagedFile(
            f"{one.name}: {pixels.length} bytes of pixels are too few for {one.rows} x "
            f"{one.columns}; the file is damaged."
        )
    if pixels.syntax in NATIVE and not pixels.deflated and pixels.offset + end > one.source.size:
        raise DamagedFile(f"{one.name}: its pixels are cut off; copy or export the exam again.")


def _frame_bytes(one: Slice) -> int:
    return one.rows * one.columns * one.encoding.bits_allocated // 8


class StoredBytes:
    """The bytes of images as stored in their files.

    A file without random access (a member of a zip, deflated, compressed) is read whole,
    so that its checksum is compared, and once for all of its frames.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, bytes] = OrderedDict()

    def of(self, one: Slice) -> bytes:
        """An image's own bytes, or its whole file's if the pixels are compressed.

        Raises
        ------
        DamagedFile
            The file can't be read.
        """
        if one.encoding.syntax not in NATIVE:
            return self.file_of(one)
        count = _frame_bytes(one)
        start = max(0, one.encoding.offset) + one.encoding.frame * count
        if one.encoding.deflated or one.source.packed:
            return self.file_of(one)[start : start + count]
        with _reading(one), one.source.open() as stream:
            stream.seek(start)
            return stream.read(count)

    def middle_of(self, one: Slice, count: int) -> bytes:
        """So many bytes from the middle of an image's pixels, as stored; the same error."""
        if one.encoding.syntax in NATIVE and not (one.encoding.deflated or one.source.packed):
            size = _frame_bytes(one)
            start = max(0, one.encoding.offset) + one.encoding.frame * size
            with _reading(one), one.source.open() as stream:
                stream.seek(start + max(0, (size - count) // 2))
                return stream.read(min(count, size))
        data = self.of(one)
        if one.encoding.syntax not in NATIVE:
            data = data[max(0, one.encoding.offset) :]
        return data[max(0, (len(data) - count) // 2) :][:count]

    def file_of(self, one: Slice) -> bytes:
        """The whole file of an image, unpacked; the same error."""
        if one.name not in self._kept:
            while len(self._kept) >= KEPT_FILES:
                self._kept.popitem(last=False)
            with _reading(one), one.source.open() as stream:
                data = stream.read()
            if one.encoding.deflated:
                data = inflated(data, one.name, one.source.budget)
            self._kept[one.name] = data
        return self._kept[one.name]


class Comparison:
    """Whether two images show the same; compressed ones are decoded where their bytes differ."""

    def __init__(self) -> None:
        self._stored = StoredBytes()
        self._decoder: Decoder | None = None

    def __enter__(self) -> Comparison:
        return self

    def __exit__(self, *error: object) -> None:
        if self._decoder is not None:
            self._decoder.__exit__(*error)

    def same(self, one: Slice, other: Slice) -> bool:
        """Whether two images of one size have the same pixels, in HU.

        Raises
        ------
        DamagedFile
            One of them can't be read or decoded.
        """
        if _stored_alike(one, other):
            same_bytes = self._stored.of(one) == self._stored.of(other)
            if same_bytes or one.encoding.syntax in NATIVE:
                return same_bytes
        return np.array_equal(self._hounsfield(one), self._hounsfield(other))

    def _hounsfield(self, one: Slice) -> Float32Array:
        data = self._stored.of(one)
        if one.encoding.syntax in NATIVE:
            return hounsfield(_native(one, data), one.encoding)
        if self._decoder is None:
            self._decoder = Decoder().__enter__()
        return hounsfield(self._decoder.decode(one, data), one.encoding)


def _stored_alike(one: Slice, other: Slice) -> bool:
    """Whether equal bytes mean equal pixels: of compressed files, in frames of the same number."""
    a, b = (replace(s.encoding, offset=0, length=0, frame=0, frames=1) for s in (one, other))
    native = one.encoding.syntax in NATIVE
    return a == b and (native or one.encoding.frame == other.encoding.frame)


@contextmanager
def _reading(one: Slice) -> Iterator[None]:
    try:
        yield
    except DamagedFile:
        raise
    except READ_ERRORS as error:
        raise DamagedFile(f"{one.name}: can't be read ({error}); copy the exam again.") from error


def _native(one: Slice, data: bytes) -> Stored:
    if len(data) < _frame_bytes(one):
        raise DamagedFile(
            f"{one.name}: its pixels are cut off ({len(data)} of {_frame_bytes(one)} bytes); "
            "copy or export the exam again."
        )
    kind = "i" if one.encoding.signed else "u"
    order = "<" if one.encoding.little_endian else ">"
    dtype = np.dtype(f"{order}{kind}{one.encoding.bits_allocated // 8}")
    return np.frombuffer(data, dtype=dtype).reshape(one.rows, one.columns)


def hounsfield(stored: Stored, pixels: Encoding, out: Float32Array | None = None) -> Float32Array:
    """Stored values to HU.

    Bits above BitsStored (old overlays) are masked; padding outside the field of view becomes air.

    Parameters
    ----------
    out : (Y, X) float32
        Where to put them: an array of a hundred images is filled without copies.

    Returns
    -------
    (Y, X) float32, HU, at least -1024 but where `may_be_unsigned`
    """
    if out is None:
        out = np.empty(stored.shape, np.float32)
    spare = pixels.bits_allocated - pixels.bits_stored
    if spare:
        native = stored.astype(stored.dtype.newbyteorder("="))
        stored = (native << spare) >> spare
    values = stored * np.float64(pixels.slope)
    values += pixels.intercept
    if pixels.padding is not None:
        padding_hu = pixels.padding * pixels.slope + pixels.intercept
        if padding_hu > LARGEST_HU:
            values[stored == pixels.padding] = AIR_HU
    lowest = -np.inf if may_be_unsigned(pixels) else AIR_HU
    return np.maximum(values, lowest, dtype=np.float64, casting="same_kind", out=out)


def may_be_unsigned(pixels: Encoding) -> bool:
    """Whether the sign that the header declares contradicts its intercept.

    With a sign 12 bits reach 2047, so that an intercept of -1024 cuts off all bone above 1023 HU.
    """
    return pixels.signed and pixels.bits_stored == SHORT_BITS and pixels.intercept <= AIR_HU


def _decode_all(jobs: Sequence[Job], frames: Float32Array) -> dict[Identity, DamagedFile]:
    """Decode in several child processes at once; each fills its own images of ``frames``."""
    count = max(1, min(MAX_DECODERS, os.cpu_count() or 1, len(jobs) // IMAGES_PER_DECODER))
    size = -(-len(jobs) // count)
    damaged: dict[Identity, DamagedFile] = {}
    with ThreadPoolExecutor(count) as pool:
        starts = range(0, len(jobs), size)
        parts = [pool.submit(_decode_part, jobs[i : i + size], frames) for i in starts]
        for part in parts:
            damaged |= part.result()
    return damaged


def _decode_part(jobs: Sequence[Job], frames: Float32Array) -> dict[Identity, DamagedFile]:
    stored = StoredBytes()
    with Decoder() as decoder:
        return _fill(jobs, frames, lambda one: decoder.decode(one, stored.of(one)))
