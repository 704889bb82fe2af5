"""Enhanced multi-frame CT: one file with many images, their headers in functional groups.

Per-frame values override shared ones (PS3.3 C.7.6.16).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from pydicom.dataset import Dataset

from bolus.acquire.budget import MAX_READS
from bolus.acquire.dicom.elements import (
    LONGEST_CODE,
    MOST_VALUES,
    Vector,
    datetime_us,
    microseconds,
    milliseconds,
    plausible,
    whole,
)
from bolus.acquire.dicom.headers import (
    MAX_KVP,
    Encoding,
    Protocol,
    Slice,
    classic,
    possible,
    tube_load,
)
from bolus.acquire.dicom.image_times import Clock
from bolus.acquire.source import Source
from bolus.errors import DamagedFile
from bolus.plain_text import short

MAX_FRAMES = 100_000
PER_FRAME, SHARED = 0x52009230, 0x52009229
ITEM, ITEM_BIG = b"\xfe\xff\x00\xe0", b"\xff\xfe\xe0\x00"
"""Tag of an item, in little and in big endian."""


def enhanced(dataset: Dataset, source: Source, pixels: Encoding) -> list[Slice]:
    """Every image of a multi-frame file.

    Raises
    ------
    DamagedFile
        If the functional groups don't fit the number of frames, or can't be read.
    """
    _check_items(dataset, source)
    try:
        return list(_frames(dataset, source, pixels))
    except DamagedFile:
        raise
    except Exception as error:  # pydicom's conversions raise many types on damaged bytes
        raise DamagedFile(
            f"{source.name}: the headers of its frames can't be read ({type(error).__name__}); "
            "export the exam again, as classic CT images if possible."
        ) from error


def _check_items(dataset: Dataset, source: Source) -> None:
    """Refuse sequences of millions of items, which pydicom parses on first access."""
    for tag in (PER_FRAME, SHARED):
        element = dataset.get_item(tag) if tag in dataset else None
        value = getattr(element, "value", None)
        if isinstance(value, bytes) and value.count(ITEM) + value.count(ITEM_BIG) > MAX_READS:
            raise DamagedFile(
                f"{source.name}: describes more frames than any exam has; it is damaged."
            )


def _frames(dataset: Dataset, source: Source, pixels: Encoding) -> Iterator[Slice]:
    base = classic(dataset, source, pixels)
    count = int(dataset.NumberOfFrames)
    groups = dataset.PerFrameFunctionalGroupsSequence
    if len(groups) != count or not 0 < count <= MAX_FRAMES:
        raise DamagedFile(
            f"{source.name}: says it has {count} frames but describes {len(groups)}; it is damaged."
        )
    shared = dataset.get("SharedFunctionalGroupsSequence") or [Dataset()]
    for index, group in enumerate(groups):
        yield _frame(base, index, count, group, shared[0])


def _frame(base: Slice, index: int, count: int, own: Dataset, shared: Dataset) -> Slice:
    def macro(sequence: str) -> Dataset:
        for group in (own, shared):
            if group.get(sequence):
                item = group[sequence].value[0]
                assert isinstance(item, Dataset)
                return item
        return Dataset()

    transform = macro("PixelValueTransformationSequence")
    frame_type = macro("CTImageFrameTypeSequence").get("FrameType") or base.image_type
    return replace(
        base,
        image_type=tuple(_code(part) for part in frame_type[:MOST_VALUES]),
        position=_vector(macro("PlanePositionSequence"), "ImagePositionPatient", 3),
        orientation=_vector(macro("PlaneOrientationSequence"), "ImageOrientationPatient", 6),
        spacing=_vector(macro("PixelMeasuresSequence"), "PixelSpacing", 2),
        rescale_type=_code(transform.get("RescaleType", "")),
        clock=_clock(base.clock, macro("FrameContentSequence"), macro("TemporalPositionSequence")),
        encoding=replace(
            base.encoding,
            frame=index,
            frames=count,
            slope=float(transform.get("RescaleSlope", 1.0)),
            intercept=float(transform.get("RescaleIntercept", 0.0)),
        ),
        protocol=_protocol(
            base.protocol,
            macro("CTXRayDetailsSequence"),
            macro("CTExposureSequence"),
            macro("CTReconstructionSequence"),
            macro("PixelMeasuresSequence"),
        ),
    )


def _vector(item: Dataset, keyword: str, n: int) -> Vector:
    values = item.get(keyword)
    if values is None or len(values) != n:
        return ()
    numbers = [plausible(float(v)) for v in values]
    return tuple(v for v in numbers if v is not None) if None not in numbers else ()


def _clock(base: Clock, content: Dataset, temporal: Dataset) -> Clock:
    """The frame's own times, and those of its file, which tell files of one time point each."""

    def time(keyword: str) -> int | None:
        return datetime_us(str(content.get(keyword, "")))

    return Clock(
        reference_us=time("FrameReferenceDateTime"),
        datetime_us=time("FrameAcquisitionDateTime"),
        offset_us=microseconds(_float(temporal.get("TemporalPositionTimeOffset"), None)),
        file_datetime_us=base.datetime_us,
        file_acquisition_us=base.acquisition_us,
        content_us=base.content_us,
        temporal_index=whole(_float(content.get("TemporalPositionIndex"), None)),
        acquisition_number=whole(_float(content.get("FrameAcquisitionNumber"), None))
        or base.acquisition_number,
        instance_number=base.instance_number,
        series_number=base.series_number,
        step_us=base.step_us,
        duration_us=milliseconds(_float(content.get("FrameAcquisitionDuration"), None)),
    )


def _protocol(
    base: Protocol, x_ray: Dataset, exposure: Dataset, reconstruction: Dataset, measures: Dataset
) -> Protocol:
    kernel = reconstruction.get("ConvolutionKernel", base.kernel)
    current_ma = _float(exposure.get("XRayTubeCurrentInmA"), None)
    exposure_ms = _float(exposure.get("ExposureTimeInms"), None)
    known = current_ma is not None and exposure_ms is not None
    return replace(
        base,
        kernel=short(kernel if isinstance(kernel, str) else "\\".join(map(str, kernel))),
        kvp=possible(_float(x_ray.get("KVP"), base.kvp), MAX_KVP),
        mas=tube_load(current_ma, exposure_ms) if known else base.mas,
        thickness_mm=_float(measures.get("SliceThickness"), base.thickness_mm),
    )


def _code(value: object) -> str:
    return short(str(value)[:LONGEST_CODE]).upper()


def _float(value: object, otherwise: float | None) -> float | None:
    return otherwise if value is None else plausible(float(str(value)))
