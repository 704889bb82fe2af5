"""The parts of a DICOM header that bolus needs, however malformed the values are.

Nothing that identifies a person leaves this module; patients are distinguished by a hash.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from io import BufferedIOBase, BytesIO
from typing import BinaryIO, cast

from pydicom.dataset import Dataset
from pydicom.filereader import read_partial
from pydicom.tag import BaseTag

from bolus.acquire.budget import MAX_READS
from bolus.acquire.dicom.deflate import DEFLATED, end_of_meta, inflated
from bolus.acquire.dicom.elements import (
    Vector,
    code,
    codes,
    integer,
    is_little_endian,
    number,
    numbers,
    text,
    whole_text,
)
from bolus.acquire.dicom.image_times import Clock, clock
from bolus.acquire.source import Source
from bolus.errors import DamagedFile

PIXEL_DATA = 0x7FE00010
PIXELS = frozenset({PIXEL_DATA, 0x7FE00009, 0x7FE00008})
"""As integers, doubles or floats."""
HEAD_BYTES = 4096
"""The file meta information lies within this first block."""
LARGEST_META = 2**16
"""File meta information has 200 to 300 bytes, and room for private ones."""
MAX_HEADER_BYTES = 64 * 2**20
"""Some 10 kB in a classic image; an enhanced file of 10,000 frames has 20 MB."""
MAX_ELEMENTS = 10_000
"""Outside sequences: about 200 in a CT image, 2,000 with vendors' private elements."""


@dataclass(frozen=True)
class Encoding:
    """Where an image's pixels lie in its file, and how."""

    syntax: str
    offset: int
    """First byte of the value of PixelData, -1 without one; in the inflated file if deflated."""
    length: int
    """Length in bytes the file gives; 0xFFFFFFFF for encapsulated pixels."""
    frame: int
    """Index of the image in a multi-frame file."""
    frames: int
    """Number of images in the file."""
    bits_allocated: int
    bits_stored: int
    signed: bool
    samples: int
    slope: float
    intercept: float
    padding: int | None
    little_endian: bool

    @property
    def deflated(self) -> bool:
        """Whether the whole data set has to be inflated first."""
        return self.syntax == DEFLATED


MAX_KVP, MAX_MAS = 1000.0, 10_000.0
"""CT tubes have at most 150 kVp, and 1.3 A for a few seconds at most: beyond this it's an error of
the header, and of an image's dose nothing is known."""


@dataclass(frozen=True)
class Protocol:
    """How the image was made; nothing in here identifies a person."""

    manufacturer: str = ""
    model: str = ""
    kernel: str = ""
    kvp: float | None = None
    mas: float | None = None
    """Tube current x exposure time: the Exposure tag is known to be wrong."""
    thickness_mm: float | None = None
    patient_position: str = ""
    lossy: bool = False


@dataclass(frozen=True)
class Slice:
    """One image of one slice at one time, without its pixels."""

    source: Source
    patient: str
    """Hash that serves only to distinguish patients."""
    study: str
    series: str
    series_number: str
    frame_of_reference: str
    instance: str
    sop_class: str
    modality: str
    image_type: tuple[str, ...]
    rescale_type: str
    photometric: str
    rows: int
    columns: int
    position: Vector
    """(3,) ImagePositionPatient, mm, or empty."""
    orientation: Vector
    """(6,) ImageOrientationPatient, or empty."""
    spacing: Vector
    """(2,) distance of rows and of columns, mm, or empty."""
    clock: Clock
    encoding: Encoding
    protocol: Protocol = field(default_factory=Protocol)
    day: str = ""
    """Digest of the date on which it was taken, "" where that is unknown."""
    place: int = 0
    """Position along the slices' normal in hundredths of a mm, equal for images of one slice."""

    @property
    def name(self) -> str:
        """Name of the file, for messages."""
        return self.source.name


def read_header(stream: BinaryIO, source: Source) -> tuple[Dataset, BinaryIO]:
    """The data set up to its pixels, and the stream right before PixelData.

    Raises
    ------
    DamagedFile
        If the bytes can't be parsed, or no header is that large.
    """
    head = stream.read(HEAD_BYTES)
    stream.seek(0)
    try:
        if DEFLATED.encode() in head:
            data = inflated(stream.read(), source.name, source.budget)
            stream, head = BytesIO(data), data[:HEAD_BYTES]
        _check_start(head, stream)
        measured = _Measured(stream)
        try:
            return read_partial(cast(BinaryIO, measured), _BeforePixels(), force=True), stream
        finally:  # a refused header counts too: reading it took time
            source.budget.count_reads(measured.reads, source.name)
    except DamagedFile:
        raise
    except Exception as error:  # pydicom raises nine types on damaged bytes
        raise DamagedFile(
            f"{source.name}: the DICOM header can't be read ({type(error).__name__}); the file is "
            "damaged."
        ) from error


def _check_start(head: bytes, stream: BinaryIO) -> None:
    """Refuse endless groups 0 and 2, which pydicom reads whole, element by element."""
    end = end_of_meta(head)
    if end > HEAD_BYTES:
        head = stream.read(LARGEST_META)
        stream.seek(0)
        end = end_of_meta(head)
    if end > LARGEST_META or head[end : end + 2] == b"\0\0":
        raise ValueError("its file meta information has no end")


class _BeforePixels:
    """Makes pydicom stop before the pixels, and refuses headers with too many elements."""

    def __init__(self) -> None:
        self._elements = 0

    def __call__(self, tag: BaseTag, vr: str | None, length: int) -> bool:
        self._elements += 1
        if self._elements > MAX_ELEMENTS:
            raise ValueError(f"a header of more than {MAX_ELEMENTS} elements")
        return tag in PIXELS


class _Measured(BufferedIOBase):
    """A stream with a read limit: a header may claim lengths that fill the memory."""

    def __init__(self, stream: BinaryIO) -> None:
        super().__init__()
        self._stream = stream
        self._left = MAX_HEADER_BYTES
        self.reads = 0
        """Number of pieces read; sequence items, even empty ones, count one each."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read, unless that exceeds the limit."""
        self.reads += 1
        if size is None or size < 0 or size > self._left or self.reads > MAX_READS:
            raise ValueError("more than any header")
        self._left -= size
        return self._stream.read(size)

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """As the stream."""
        return self._stream.seek(offset, whence)

    def tell(self) -> int:
        """As the stream."""
        return self._stream.tell()


def find_pixels(stream: BinaryIO, dataset: Dataset) -> tuple[int, int]:
    """Offset and length of PixelData's value, the stream standing before it; (-1, 0) without."""
    start = stream.tell()
    element = stream.read(12)
    order = "little" if is_little_endian(dataset) else "big"
    group, number = (int.from_bytes(element[i : i + 2], order) for i in (0, 2))  # type: ignore[arg-type]
    if len(element) < 12 or group << 16 | number != PIXEL_DATA:
        return -1, 0
    if element[4:6] in (b"OW", b"OB"):
        return start + 12, int.from_bytes(element[8:12], order)  # type: ignore[arg-type]
    return start + 8, int.from_bytes(element[4:8], order)  # type: ignore[arg-type]


def digest(value: str) -> str:
    """A short hash, to compare values that must not be shown."""
    return hashlib.blake2b(value.encode(), digest_size=8).hexdigest()


def encoding(dataset: Dataset, offset: int, length: int, deflated: bool) -> Encoding:
    """How the pixels of a file's first image are stored."""
    signed = integer(dataset, 0x00280103) == 1
    padding = integer(dataset, 0x00280120)
    if padding is not None and signed and padding >= 2**15:
        padding -= 2**16
    allocated = integer(dataset, 0x00280100) or 0
    meta = getattr(dataset, "file_meta", None)
    syntax = DEFLATED if deflated else text(meta, 0x00020010) if meta else ""
    return Encoding(
        syntax=syntax,
        offset=offset,
        length=length,
        frame=0,
        frames=1,
        bits_allocated=allocated,
        bits_stored=integer(dataset, 0x00280101) or allocated,
        signed=signed,
        samples=integer(dataset, 0x00280002) or 1,
        slope=_scale(dataset, 0x00281053, 1.0),
        intercept=_scale(dataset, 0x00281052, 0.0),
        padding=padding,
        little_endian=is_little_endian(dataset),
    )


def _scale(dataset: Dataset, tag: int, otherwise: float) -> float:
    """Rescale slope or intercept; NaN if present but not a number, which is refused later."""
    value = number(dataset, tag)
    if value is None:
        return math.nan if text(dataset, tag) else otherwise
    return value


def tube_load(current_ma: float | None, exposure_ms: float | None) -> float | None:
    """Tube current x exposure time, mAs; None where one is unknown or the product is impossible."""
    if current_ma is None or exposure_ms is None:
        return None
    return possible(current_ma * exposure_ms / 1000, MAX_MAS)


def possible(value: float | None, most: float) -> float | None:
    """A number above 0 and at most ``most``; None for any other."""
    return value if value is not None and 0 < value <= most else None


def protocol(dataset: Dataset) -> Protocol:
    """How an image was made."""
    return Protocol(
        manufacturer=text(dataset, 0x00080070),
        model=text(dataset, 0x00081090),
        kernel=text(dataset, 0x00181210),
        kvp=possible(number(dataset, 0x00180060), MAX_KVP),
        mas=tube_load(number(dataset, 0x00181151), number(dataset, 0x00181150)),
        thickness_mm=number(dataset, 0x00180050),
        patient_position=code(dataset, 0x00185100),
        lossy=text(dataset, 0x00282110) == "01",
    )


def classic(dataset: Dataset, source: Source, pixels: Encoding) -> Slice:
    """A single-frame image as a ``Slice``."""
    return Slice(
        source=source,
        patient=digest(whole_text(dataset, 0x00100020) or whole_text(dataset, 0x00100010)),
        study=text(dataset, 0x0020000D),
        series=text(dataset, 0x0020000E),
        series_number=code(dataset, 0x00200011),
        frame_of_reference=text(dataset, 0x00200052),
        instance=whole_text(dataset, 0x00080018),
        sop_class=text(dataset, 0x00080016),
        modality=code(dataset, 0x00080060),
        image_type=codes(dataset, 0x00080008),
        rescale_type=code(dataset, 0x00281054),
        photometric=code(dataset, 0x00280004),
        rows=integer(dataset, 0x00280010) or 0,
        columns=integer(dataset, 0x00280011) or 0,
        position=_exactly(3, numbers(dataset, 0x00200032)),
        orientation=_exactly(6, numbers(dataset, 0x00200037)),
        spacing=_exactly(2, numbers(dataset, 0x00280030)),
        clock=clock(dataset),
        encoding=pixels,
        protocol=protocol(dataset),
        day=_day(dataset),
    )


def _day(dataset: Dataset) -> str:
    for tag in (0x00080022, 0x00080023, 0x00080021, 0x00080020):  # of image, content, series, study
        if date := text(dataset, tag):
            return digest(date)
    return ""


def _exactly(n: int, values: Vector) -> Vector:
    return values if len(values) == n else ()
