"""Every time and number by which an image's header tells when it was taken."""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from bolus.acquire.dicom.elements import (
    datetime_us,
    microseconds,
    milliseconds,
    milliseconds_us,
    number,
    raw,
    text,
    text_or_double,
    time_of_day_us,
    whole,
)

GE_MID_SCAN_TIME = 0x00191024
VENDOR_TIMES = (
    ("SIEMENS", 0x0009, "SIEMENS CT VA0  IDE", 0x51, time_of_day_us),
    ("TOSHIBA", 0x0019, "TOSHIBA_MEC_CT_1.0", 0x0D, time_of_day_us),
    ("GE", 0x0043, "GEMS_PARM_01", 0x1E, milliseconds_us),
)
"""Maker, group, private creator and element of an image's time, and how it is written: Siemens and
Toshiba "Scan Time" and "Time", GE "Delta start time [msec]" (pydicom's private dictionary)."""
PRIVATE_BLOCKS = range(0x10, 0x18)
"""Where vendors reserve their private elements; more than eight blocks in a group are unknown."""


@dataclass(frozen=True)
class Clock:
    """Every time that an image carries, in microseconds, and its order.

    Times of day without their dates, which are not to be trusted; the others count from an
    arbitrary start.
    """

    reference_us: int | None = None
    """FrameReferenceDateTime of an enhanced image."""
    datetime_us: int | None = None
    """AcquisitionDateTime, or FrameAcquisitionDateTime of an enhanced image."""
    acquisition_us: int | None = None
    """AcquisitionTime."""
    ge_mid_scan_us: int | None = None
    """GE (0019,1024), s since an arbitrary start: the only true time of GE cine scans."""
    vendor_us: int | None = None
    """Private time of an image, see `VENDOR_TIMES`."""
    trigger_us: int | None = None
    offset_us: int | None = None
    """TemporalPositionTimeOffset of an enhanced image."""
    frame_reference_us: int | None = None
    """FrameReferenceTime."""
    file_datetime_us: int | None = None
    """AcquisitionDateTime of the whole enhanced file: one file for each time point."""
    file_acquisition_us: int | None = None
    """AcquisitionTime of the whole enhanced file."""
    content_us: int | None = None
    """ContentTime; of the whole file where that is enhanced."""
    temporal_index: int | None = None
    acquisition_number: int | None = None
    instance_number: int | None = None
    series_number: int | None = None
    step_us: int | None = None
    """Interval between frames by the protocol (TemporalResolution)."""
    duration_us: int | None = None
    """ActualFrameDuration, or FrameAcquisitionDuration of an enhanced image."""


def clock(dataset: Dataset) -> Clock:
    """Every time and order an image gives."""
    maker = text(dataset, 0x00080070).upper()
    is_ge = "GE" in maker or "GEMS" in text(dataset, 0x00190010)
    return Clock(
        datetime_us=datetime_us(text(dataset, 0x0008002A)),
        acquisition_us=time_of_day_us(text(dataset, 0x00080032)),
        ge_mid_scan_us=microseconds(text_or_double(raw(dataset, GE_MID_SCAN_TIME)))
        if is_ge
        else None,
        vendor_us=_vendor_time(dataset, maker),
        trigger_us=milliseconds(number(dataset, 0x00181060)),
        frame_reference_us=milliseconds(number(dataset, 0x00541300)),
        content_us=time_of_day_us(text(dataset, 0x00080033)),
        temporal_index=whole(number(dataset, 0x00200100)),
        acquisition_number=whole(number(dataset, 0x00200012)),
        instance_number=whole(number(dataset, 0x00200013)),
        series_number=whole(number(dataset, 0x00200011)),
        step_us=milliseconds(number(dataset, 0x00200110)),
        duration_us=milliseconds(number(dataset, 0x00181242)),
    )


def _vendor_time(dataset: Dataset, maker: str) -> int | None:
    """The private time of an image, wherever its block lies."""
    for vendor, group, creator, element, read in VENDOR_TIMES:
        if vendor not in maker:
            continue
        for block in PRIVATE_BLOCKS:
            if text(dataset, group << 16 | block) == creator:
                return read(text(dataset, group << 16 | block << 8 | element))
    return None
