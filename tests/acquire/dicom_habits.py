"""Habits of DICOM exams that public reports describe, each as a change to the factory's exam.

A change must leave the exam as it was (same frames, same times), perhaps with a finding, or end in
a refusal that says what to do.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dicomfactory import (
    DISTANCE_MM,
    SLICES,
    START_S,
    STEP_S,
    STUDY,
    exam,
    store,
    tm,
)
from pydicom.dataset import FileDataset
from pydicom.uid import generate_uid

Images = list[FileDataset]
Change = Callable[[Images], Images]


@dataclass(frozen=True)
class Habit:
    """One habit and what becomes of it."""

    key: str
    """As in the table of docs/reference/what-is-read.md."""
    change: Change = list
    finding: str = ""
    """Codes of the findings that the exam must have then; "" if none of weight."""
    refused: str = ""
    """Words of the error, where the exam can't be read."""
    moves_time: float = 0.0
    """Tolerance of the times, s."""
    part: str = "series"
    """Habits of one part exclude each other where several are drawn."""
    pack: Callable[[Path], Path] = Path
    """What becomes of the folder of files: the path to be read."""
    loses_rim: bool = False
    """Whether only what lies inside of the circle is compared; the rest is air."""


def place_of(one: FileDataset) -> int:
    """Number of the image's slice."""
    return round((float(one.ImagePositionPatient[2]) - 40.0) / DISTANCE_MM)


def frame_of(one: FileDataset) -> int:
    """Number of the image's frame."""
    return (int(one.InstanceNumber) - 1) // SLICES


def seconds_of(one: FileDataset) -> float:
    """Its time after the exam's first image, s, as the factory gave it."""
    return STEP_S * frame_of(one) + 0.05 * place_of(one)


def uid(*parts: object) -> str:
    """A UID that depends on its parts alone."""
    return str(generate_uid(entropy_srcs=[str(part) for part in parts]))


def series_by(key: Callable[[FileDataset], object], *more: str) -> Change:
    """A series for each value; further UIDs by keyword likewise."""

    def change(images: Images) -> Images:
        for one in images:
            one.SeriesInstanceUID = uid("series", key(one))
            one.SeriesNumber = 100 + int(key(one)) if isinstance(key(one), int) else 7
            for keyword in more:
                setattr(one, keyword, uid(keyword, key(one)))
        return images

    return change


def each(set_one: Callable[[FileDataset], None]) -> Change:
    """The same change to every image."""

    def change(images: Images) -> Images:
        for one in images:
            set_one(one)
        return images

    return change


def values(**keywords: object) -> Change:
    """The same values in every image; None removes the element."""

    def set_one(one: FileDataset) -> None:
        for keyword, value in keywords.items():
            if value is None and keyword in one:
                delattr(one, keyword)
            elif value is not None:
                setattr(one, keyword, value)

    return each(set_one)


def then(*changes: Change) -> Change:
    """Changes after one another."""

    def change(images: Images) -> Images:
        for one in changes:
            images = one(images)
        return images

    return change


def beside(build: Callable[[], Images]) -> Change:
    """Other images in the folder."""

    def change(images: Images) -> Images:
        others = build()
        for number, one in enumerate(others):
            one.SOPInstanceUID = uid("beside", build.__name__, number)
            one.StudyInstanceUID, one.PatientID = images[0].StudyInstanceUID, images[0].PatientID
        return [*others, *images]

    return change


def bolus_tracking() -> Images:
    """14 images of one slice below the slab, one a second, before the scan."""
    images = exam(14, 1, seconds=lambda t, _: 1.0 * t - 60.0)
    for one in images:
        one.SeriesInstanceUID, one.SeriesNumber = STUDY + ".2", 2
        one.ImagePositionPatient, one.SliceThickness = [-110.0, -120.0, -60.0], 10.0
        one.KVP, one.XRayTubeCurrent = 120, 20
    return images


def test_bolus() -> Images:
    """20 images of one slice of the slab, 2 s apart, minutes before the scan."""
    images = exam(20, 1, seconds=lambda t, _: 2.0 * t - 300.0)
    for one in images:
        one.SeriesInstanceUID, one.SeriesNumber = STUDY + ".3", 3
        one.KVP, one.SliceThickness = 120, 10.0
    return images


test_bolus.__test__ = False  # type: ignore[attr-defined]


def grey_maps() -> Images:
    """Ten maps, a volume and a series each, seconds apart by ContentTime alone."""
    images = exam(10)
    shapes = np.random.default_rng(5).uniform(0, 100, (10, 8, 8))
    for one in images:
        k = frame_of(one)
        one.SeriesInstanceUID, one.SeriesNumber = uid("map", k), 700 + k
        one.ImageType = ["DERIVED", "SECONDARY", "OTHER"]
        one.ContentTime = tm(START_S + 600 + 2 * k)
        del one.AcquisitionTime
        store(one, np.kron(shapes[k], np.ones((4, 4))).astype(int) + 1024)
    return images


def colour_maps() -> Images:
    """Maps in colour."""
    images = grey_maps()
    for one in images:
        stored = np.frombuffer(one.PixelData, "<u2")
        one.SamplesPerPixel, one.PhotometricInterpretation, one.PlanarConfiguration = 3, "RGB", 0
        one.BitsAllocated = one.BitsStored = 8
        one.HighBit = 7
        one.PixelData = np.repeat((stored // 16).astype(np.uint8), 3).tobytes()
        one["PixelData"].VR = "OB"
    return images


def volume(number: int, seconds: float, **changes: object) -> Callable[[], Images]:
    """One volume in a series of its own."""

    def build() -> Images:
        images = exam(1, SLICES, seconds=lambda _, z: seconds + 0.01 * z)
        for one in images:
            one.SeriesInstanceUID, one.SeriesNumber = f"{STUDY}.{number}", number
            for keyword, value in changes.items():
                setattr(one, keyword, value)
        return images

    build.__name__ = f"volume{number}"
    return build


def angiography_phases() -> Images:
    """Three phases of thin slices, 10 s apart, minutes after the scan."""
    images = exam(3, 9, seconds=lambda t, z: 400.0 + 10.0 * t + 0.01 * z)
    for one in images:
        one.SeriesInstanceUID, one.SeriesNumber = uid("phase", int(one.InstanceNumber) // 27), 20
        one.SliceThickness, one.KVP = 1.0, 100
        one.ImagePositionPatient[2] = 40 + 0.5 * (one.ImagePositionPatient[2] - 40) / DISTANCE_MM
    return images


def report_of_dose() -> Images:
    """A page of text as secondary capture, without a place in the head."""
    (page,) = exam(1, 1)
    page.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    page.Modality, page.SeriesInstanceUID, page.SeriesNumber = "OT", STUDY + ".501", 501
    del page.ImagePositionPatient, page.ImageOrientationPatient
    return [page]


def structured_report() -> Images:
    """A radiation dose report without pixels."""
    (page,) = exam(1, 1)
    page.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.67"
    page.Modality, page.SeriesInstanceUID, page.SeriesNumber = "SR", STUDY + ".502", 502
    del page.PixelData, page.ImagePositionPatient
    return [page]


def localizer() -> Images:
    """A scout from the side."""
    (scout,) = exam(1, 1)
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    scout.SeriesInstanceUID, scout.SeriesNumber = STUDY + ".1", 1
    scout.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
    return [scout]


def thin_reconstruction() -> Images:
    """The same scan in slices of 1 mm."""
    images = exam()
    for one in images:
        one.SeriesInstanceUID, one.SeriesNumber, one.SliceThickness = STUDY + ".8", 8, 1.0
        one.ConvolutionKernel = "H10f"
        one.ImagePositionPatient[2] = 40 + place_of(one)
    return images


def sent_twice(images: Images) -> Images:
    """The whole exam again, all identifiers new."""
    again = copy.deepcopy(images)
    for number, one in enumerate(again):
        one.SOPInstanceUID = uid("again", number)
        one.StudyInstanceUID = uid("again", one.StudyInstanceUID)
        one.SeriesInstanceUID = uid("again", one.SeriesInstanceUID)
        one.FrameOfReferenceUID = uid("again", one.FrameOfReferenceUID)
    return [*images, *again]


def copied(images: Images) -> Images:
    """The same files twice."""
    return [*images, *copy.deepcopy(images)]


def after_treatment(images: Images) -> Images:
    """A second scan an hour later."""
    later = exam(start_s=START_S + 3600)
    for number, one in enumerate(later):
        one.SeriesInstanceUID, one.SeriesNumber = STUDY + ".9", 9
        one.SOPInstanceUID = uid("later", number)
        one.ContentTime = one.AcquisitionTime
        store(one, np.frombuffer(one.PixelData, "<u2").reshape(one.Rows, one.Columns) ^ 1)
    return [*images, *later]


def another_patient(images: Images) -> Images:
    """A second patient's exam."""
    others = exam(start_s=START_S + 3600)
    for number, one in enumerate(others):
        one.PatientID, one.PatientName = "P2", "FACTORY^OTHER"
        one.StudyInstanceUID, one.SeriesInstanceUID = uid("other"), uid("other", 1)
        one.SOPInstanceUID = uid("other", 1, number)
    return [*images, *others]


def jitter(one: FileDataset) -> None:
    """Positions that return within some hundredths of a mm."""
    shift = np.random.default_rng(int(one.InstanceNumber)).uniform(-0.04, 0.04, 3)
    one.ImagePositionPatient = [
        round(float(p) + float(s), 4) for p, s in zip(one.ImagePositionPatient, shift, strict=True)
    ]


def rounded_spacing(one: FileDataset) -> None:
    """A pixel size with more digits in some files."""
    if frame_of(one) % 2:
        one.PixelSpacing = [7.000001, 6.999999]


def rounded_direction(one: FileDataset) -> None:
    """Direction cosines that differ in their last digits."""
    if frame_of(one) % 3 == 1:
        one.ImageOrientationPatient = [1, 4e-7, 0, -4e-7, 1, 0]


def protocol_in_other_words(one: FileDataset) -> None:
    """Numbers written in two ways."""
    if frame_of(one) % 2:
        one.KVP, one.SliceThickness = "80.0", "4.9999"


def lagging_upper_slices(images: Images) -> Images:
    """Two table positions, each a series: the last slice half an interval later."""
    for one in images:
        upper = place_of(one) == SLICES - 1
        one.SeriesInstanceUID, one.SeriesNumber = f"{STUDY}.{60 + upper}", 60 + upper
    return images


def only(**keep: Callable[[FileDataset], object]) -> Change:
    """No times but those given."""

    def set_one(one: FileDataset) -> None:
        made = {keyword: make(one) for keyword, make in keep.items()}
        for keyword in ("AcquisitionTime", "ContentTime"):
            if keyword in one:
                delattr(one, keyword)
        for keyword, value in made.items():
            setattr(one, keyword, value)

    return each(set_one)


def constant(keyword: str, value: str) -> Change:
    """An element that is the same in all images."""
    return values(**{keyword: value})


def slow_reconstruction(one: FileDataset) -> None:
    """ContentTime of a reconstruction that takes 3.7 s a frame."""
    one.ContentTime = tm(START_S + 40 + 3.7 * frame_of(one) + 0.1 * place_of(one))


def in_whole_seconds(one: FileDataset) -> None:
    """Fractions of AcquisitionTime cut off."""
    one.AcquisitionTime = one.AcquisitionTime.partition(".")[0]


def with_colons(one: FileDataset) -> None:
    """HH:MM:SS, as old scanners write it."""
    time = tm(at(one))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        one.AcquisitionTime = f"{time[:2]}:{time[2:4]}:{time[4:]}"


def over_midnight(one: FileDataset) -> None:
    """The scan starts 12 s before midnight."""
    one.AcquisitionTime = one.ContentTime = tm(86400 - 12 + seconds_of(one))


def scrambled(images: Images) -> Images:
    """AcquisitionTime of other frames."""
    order = np.random.default_rng(2).permutation(len(images) // SLICES)
    for one in images:
        one.AcquisitionTime = tm(START_S + STEP_S * int(order[frame_of(one)]))
        one.AcquisitionNumber = frame_of(one) + 1
    return images


def private_siemens(one: FileDataset) -> None:
    """The time in a private element of an old Siemens scanner."""
    block = one.private_block(0x0009, "SIEMENS CT VA0  IDE", create=True)
    block.add_new(0x51, "TM", one.AcquisitionTime)
    one.AcquisitionTime = one.ContentTime = "090000"


def private_ge(one: FileDataset) -> None:
    """The time in GE's private element, as a decimal string."""
    block = one.private_block(0x0019, "GEMS_ACQU_01", create=True)
    block.add_new(0x24, "DS", f"{100 + seconds_of(one):.6f}")
    one.Manufacturer = "GE MEDICAL SYSTEMS"
    one.AcquisitionTime = one.ContentTime = "090000"


def private_ge_delta(one: FileDataset) -> None:
    """The time since the start in GE's "Delta start time [msec]"."""
    block = one.private_block(0x0043, "GEMS_PARM_01", create=True)
    block.add_new(0x1E, "DS", f"{1000 * seconds_of(one):.0f}")
    one.Manufacturer = "GE MEDICAL SYSTEMS"
    one.AcquisitionTime = one.ContentTime = "090000"


def numbers_restart(images: Images) -> Images:
    """InstanceNumber counts from 1 in each volume."""
    for one in images:
        one.InstanceNumber = place_of(one) + 1
    return images


def numbers_backwards(images: Images) -> Images:
    """InstanceNumber falls as time goes on."""
    for one in images:
        one.InstanceNumber = len(images) + 1 - int(one.InstanceNumber)
    return images


def shuffled_numbers(images: Images) -> Images:
    """InstanceNumber as a PACS gave it."""
    order = np.random.default_rng(4).permutation(len(images))
    for one, number in zip(images, order, strict=True):
        one.InstanceNumber = int(number) + 1
    return images


def at(one: FileDataset) -> float:
    """Time of day of an image, s."""
    return START_S + seconds_of(one)


DICOM_HABITS: tuple[Habit, ...] = (
    # one exam in many series
    Habit("series-per-time-point", series_by(frame_of)),
    Habit("series-per-slice", series_by(place_of)),
    Habit("series-per-parity", series_by(lambda one: place_of(one) % 2)),
    Habit("series-per-table-position", lagging_upper_slices),
    Habit("series-per-image", series_by(lambda one: int(one.InstanceNumber))),
    Habit("series-halves", series_by(lambda one: int(frame_of(one) >= 10))),
    Habit("series-odd-even-times", series_by(lambda one: frame_of(one) % 2)),
    Habit("frame-of-reference-per-series", series_by(frame_of, "FrameOfReferenceUID")),
    Habit("study-per-series", series_by(frame_of, "StudyInstanceUID", "FrameOfReferenceUID")),
    Habit("sent-twice", sent_twice, "copies-dropped", part="twice"),
    Habit("files-twice", copied, "duplicates-dropped", part="twice"),
    Habit("two-exams", after_treatment, refused="--series", part="twice"),
    Habit("two-patients", another_patient, refused="2 patients", part="twice"),
    # numbers that differ by rounding
    Habit("positions-jitter", each(jitter), part="position"),
    Habit("spacing-rounded", each(rounded_spacing), part="spacing"),
    Habit("orientation-rounded", each(rounded_direction), part="direction"),
    Habit(
        "protocol-in-other-words", each(protocol_in_other_words), "mixed-thickness", part="words"
    ),
    # what lies beside
    Habit("bolus-tracking", beside(bolus_tracking), part="tracking"),
    Habit("test-bolus", beside(test_bolus), part="test bolus"),
    Habit("grey-maps", beside(grey_maps), part="maps"),
    Habit("colour-maps", beside(colour_maps), part="maps"),
    Habit(
        "projection",
        beside(volume(30, 500.0, ImageType=["DERIVED", "SECONDARY", "MIP"])),
        part="projection",
    ),
    Habit("average", beside(volume(31, 500.0)), part="average"),
    Habit("angiography-phases", beside(angiography_phases), part="phases"),
    Habit("plain-head", beside(volume(32, -400.0, KVP=120)), part="plain head"),
    Habit("dose-page", beside(report_of_dose), part="dose page"),
    Habit("structured-report", beside(structured_report), part="report"),
    Habit("localizer", beside(localizer), part="localizer"),
    Habit("thin-reconstruction", beside(thin_reconstruction), "series-chosen", part="thin"),
    Habit("named-delay", values(SeriesDescription="CTP 4 s delay CBF MIP"), part="name"),
    # clocks
    Habit("constant-datetime", constant("AcquisitionDateTime", "20210716090000"), part="clock"),
    Habit(
        "constant-datetime-slow-content",
        then(constant("AcquisitionDateTime", "20210716090000"), each(slow_reconstruction)),
        "reconstruction-clock",
        part="clock",
    ),
    Habit("slow-content", each(slow_reconstruction), "reconstruction-clock", part="clock"),
    Habit(
        "constant-acquisition",
        constant("AcquisitionTime", "090000"),
        "timing-from-content",
        part="clock",
    ),
    Habit(
        "trigger-time", only(TriggerTime=lambda one: f"{1000 * seconds_of(one):.0f}"), part="clock"
    ),
    Habit(
        "frame-reference-time",
        only(FrameReferenceTime=lambda one: f"{1000 * seconds_of(one):.0f}"),
        part="clock",
    ),
    Habit(
        "datetime-with-zone",
        only(AcquisitionDateTime=lambda one: f"20210716{tm(at(one))}+0200"),
        part="clock",
    ),
    Habit("times-with-colons", each(with_colons), part="clock"),
    Habit(
        "temporal-position",
        then(
            only(TemporalPositionIdentifier=lambda one: frame_of(one) + 1),
            values(TemporalResolution=f"{1000 * STEP_S:.0f}"),
        ),
        "timing-assumed",
        moves_time=0.11,
        part="clock",
    ),
    Habit(
        "frame-duration",
        then(
            only(AcquisitionNumber=lambda one: frame_of(one) + 1),
            values(ActualFrameDuration=f"{1000 * STEP_S:.0f}"),
        ),
        "timing-assumed",
        moves_time=0.11,
        part="clock",
    ),
    Habit("whole-seconds", each(in_whole_seconds), "timing-fraction", part="clock"),
    Habit(
        "whole-seconds-only",
        then(each(in_whole_seconds), values(ContentTime=None)),
        "timing-coarse",
        moves_time=0.5,
        part="clock",
    ),
    Habit("scrambled", scrambled, "clock-scrambled timing-from-content", part="clock"),
    Habit(
        "times-zeroed",
        values(AcquisitionTime="000000", ContentTime="000000"),
        refused="--interval",
        part="clock",
    ),
    Habit("times-removed", only(), refused="--interval", part="clock"),
    Habit("midnight", each(over_midnight), part="clock"),
    Habit("private-siemens", each(private_siemens), part="clock"),
    Habit("private-ge", each(private_ge), part="clock"),
    Habit("private-ge-delta", each(private_ge_delta), part="clock"),
    Habit("instance-numbers-restart", numbers_restart, part="numbers"),
    Habit("instance-numbers-backwards", numbers_backwards, part="numbers"),
    Habit("instance-numbers-shuffled", shuffled_numbers, "order-contradicted", part="numbers"),
)
