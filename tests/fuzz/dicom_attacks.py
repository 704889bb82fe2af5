"""Folders of DICOM files corrupted by damage, odd scanners or on purpose."""

from __future__ import annotations

import random
import zlib
from io import BytesIO
from pathlib import Path

import corruption
import pydicom
from attack import Allowed, Attack
from pydicom.dataset import Dataset
from pydicom.uid import (
    JPEG2000Lossless,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)
from untouched import (
    DEFLATED,
    EXPLICIT,
    PIXELS,
    SLICES,
    Element,
    deflated,
    dicom_files,
    encoded,
    enhanced_file,
    joined,
    labelled,
    named_files,
    names,
    split,
    write,
)

CODECS = (JPEGLosslessSV1, JPEGLossless, JPEGLSLossless, JPEG2000Lossless, RLELossless)
SYNTAXES = (
    "", "1.2.840.10008.1.2", EXPLICIT, "1.2.840.10008.1.2.2", DEFLATED, "1.2.840.10008.1.2.4.50",
    *CODECS, "1.2.840.10008.1.2.4.100", "1.2.3", "\x1b[2J", "9" * 64,
)  # fmt: skip
TAGS = {
    "TransferSyntaxUID": 0x00020010, "SpecificCharacterSet": 0x00080005, "ImageType": 0x00080008,
    "SOPClassUID": 0x00080016, "SOPInstanceUID": 0x00080018, "AcquisitionDate": 0x00080022,
    "AcquisitionDateTime": 0x0008002A, "AcquisitionTime": 0x00080032, "ContentTime": 0x00080033,
    "Modality": 0x00080060, "Manufacturer": 0x00080070, "SeriesDescription": 0x0008103E,
    "ManufacturerModelName": 0x00081090, "PatientID": 0x00100020, "SliceThickness": 0x00180050,
    "KVP": 0x00180060, "TriggerTime": 0x00181060, "XRayTubeCurrent": 0x00181151,
    "ExposureTime": 0x00181150, "ConvolutionKernel": 0x00181210, "PatientPosition": 0x00185100,
    "GEMSCreator": 0x00190010, "GEMidScanTime": 0x00191024, "StudyInstanceUID": 0x0020000D,
    "SeriesInstanceUID": 0x0020000E, "SeriesNumber": 0x00200011, "AcquisitionNumber": 0x00200012,
    "InstanceNumber": 0x00200013, "ImagePositionPatient": 0x00200032,
    "ImageOrientationPatient": 0x00200037, "FrameOfReferenceUID": 0x00200052,
    "TemporalPositionIndex": 0x00200100, "TemporalResolution": 0x00200110,
    "SamplesPerPixel": 0x00280002, "PhotometricInterpretation": 0x00280004,
    "NumberOfFrames": 0x00280008, "Rows": 0x00280010, "Columns": 0x00280011,
    "PixelSpacing": 0x00280030, "BitsAllocated": 0x00280100, "BitsStored": 0x00280101,
    "HighBit": 0x00280102, "PixelRepresentation": 0x00280103, "PixelPaddingValue": 0x00280120,
    "RescaleIntercept": 0x00281052, "RescaleSlope": 0x00281053, "RescaleType": 0x00281054,
    "LossyImageCompression": 0x00282110, "PerFrameFunctionalGroupsSequence": 0x52009230,
    "PixelData": PIXELS,
}  # fmt: skip
NONSENSE = (
    b"", b"\0", b" ", b"NaN", b"nan ", b"inf ", b"-inf", b"1e300 ", b"-1e300", b"1e9 ",
    b"9" * 65500,
    b"1" + b"0" * 63, b"0x10", b"1_0 ", b"\xb2\xb3", b"\xd9\xa3", b"\x1b[2J\x1b]0;x\x07 ",
    b"a\nb\rc\td ", b"\xff\xfe\xfd\xfc", "\u202egnp.exe".encode(), b"\\" * 100, b"\\\\\\", b"..",
    b"%s%n%d", b"A" * 1000, b"\0" * 2000, b"\xed\xa0\x80 ", b"..\\..\\x", b"--", b"+-1 ",
    b"\x7f" * 8,
    b"\xff" * 8, bytes(8), b"\0\0\0\0\0\0\xf8\x7f", b"1.7976931348623157e308", b"1e-320",
)  # fmt: skip
"""Values that mean nothing wherever they stand, or nothing that a head can have."""
PLAUSIBLE = (
    b"0 ", b"1 ", b"-1", b"2 ", b"3 ", b"40", b"1.05", b"-40.5 ", b"091215.5", b"000000",
    b"235959.999999 ", b"20210716091203", b"CT", b"MR", b"US", b"HU", b"01", b"DERIVED\\SECONDARY ",
    b"ORIGINAL\\PRIMARY\\LOCALIZER ", b"1\\0\\0\\0\\1\\0 ", b"-110\\-120\\45", b"7\\7 ",
    b"3.5\\3.5 ",
    b"\1\0", b"\0\1", b"\x08\0", b"\x10\0", b" \0", b"\x10\0\x10\0", b"HFS ", b"1.2.3 ", b"CBF ",
)  # fmt: skip
"""Values that may be meant."""
REPRESENTATIONS = (b"UN", b"OB", b"SQ", b"US", b"FD", b"DS", b"IS", b"UT", b"AT", b"??", b"\0\0")


def _several(rng: random.Random) -> list[int]:
    """One image, a few or all of them."""
    count = FILES if rng.random() < 0.3 else rng.choice((1, 1, 1, 2, 3, 12))
    return rng.sample(range(FILES), count)


FILES = len(names())


def damaged_bytes(rng: random.Random, folder: Path) -> Attack:
    """Files whose bytes changed; most of DICOM has no checksum."""
    files = named_files()
    chosen = [names()[i] for i in _several(rng)]
    corrupt = rng.choice(corruption.ALL)
    only_header = rng.random() < 0.5
    for name in chosen:
        data = files[name]
        at = rng.choice((0, 128, 340)) if only_header else 0
        end = data.index(b"\xe0\x7f\x10\0") + 12 if only_header else len(data)
        # what is cut off is missing to the end
        tail = b"" if corrupt is corruption.cut else data[end:]
        files[name] = data[:at] + corrupt(rng, data[at:end]) + tail
    allowed = Allowed.NOTICED if corrupt is corruption.cut else Allowed.ANYTHING
    what = f"{corrupt.__name__} in {len(chosen)} files{' (header)' if only_header else ''}"
    return Attack(write(folder / "exam", files), allowed, what)


def odd_values(rng: random.Random, folder: Path) -> Attack:
    """Elements that are missing, doubled, or hold what they can't or shouldn't."""
    files = named_files()
    chosen = _several(rng)
    name = rng.choice(list(TAGS))
    change = rng.choice(
        (_removed, _doubled, _other_vr, _other_length, *[_nonsense] * 5, _plausible)
    )
    seed = rng.random()
    same = rng.random() < 0.6
    for i in chosen:
        # the same change in all of them, or another one in each
        own = random.Random(seed) if same else rng
        head, elements = split(files[names()[i]])
        if TAGS[name] >> 16 == 2:
            head = labelled(head, own.choice(SYNTAXES))
            files[names()[i]] = joined(head, elements)
        else:
            files[names()[i]] = head + change(own, elements, TAGS[name])
    harmless = change in (_removed, _nonsense) and name not in MEANT
    what = f"{change.__name__} {name} in {len(chosen)} files"
    allowed = Allowed.NOTICED if harmless else Allowed.ANYTHING
    return Attack(write(folder / "exam", files), allowed, what)


MEANT = frozenset({
    # no value of 2 bytes is nonsense there, and pixels have no checksum
    "TransferSyntaxUID", "Rows", "Columns", "BitsAllocated", "BitsStored", "PixelRepresentation",
    "SamplesPerPixel", "PixelData", "PixelPaddingValue",
})  # fmt: skip


def _put(elements: list[Element], new: Element) -> list[Element]:
    return sorted([e for e in elements if e.tag != new.tag] + [new])


def _own(elements: list[Element], tag: int) -> Element:
    return next((e for e in elements if e.tag == tag), Element(tag, b"LO", b""))


def _removed(rng: random.Random, elements: list[Element], tag: int) -> bytes:
    return joined(b"", [e for e in elements if e.tag != tag])


def _nonsense(rng: random.Random, elements: list[Element], tag: int) -> bytes:
    return joined(b"", _put(elements, _own(elements, tag)._replace(value=rng.choice(NONSENSE))))


def _plausible(rng: random.Random, elements: list[Element], tag: int) -> bytes:
    return joined(b"", _put(elements, _own(elements, tag)._replace(value=rng.choice(PLAUSIBLE))))


def _doubled(rng: random.Random, elements: list[Element], tag: int) -> bytes:
    again = _own(elements, tag)._replace(value=rng.choice(NONSENSE + PLAUSIBLE))
    at = rng.choice([i for i, e in enumerate(elements) if e.tag >= tag] or [len(elements)])
    return joined(b"", [*elements[:at], again, *elements[at:]])


def _other_vr(rng: random.Random, elements: list[Element], tag: int) -> bytes:
    return joined(b"", _put(elements, _own(elements, tag)._replace(vr=rng.choice(REPRESENTATIONS))))


def _other_length(rng: random.Random, elements: list[Element], tag: int) -> bytes:
    claimed = rng.choice((0, 1, 2, 3, 255, 65535, 2**31 - 1, 2**32 - 2, 2**32 - 1))
    return b"".join(encoded(e, claimed if e.tag == tag else None) for e in elements)


def damaged_streams(rng: random.Random, folder: Path) -> Attack:
    """Compressed images whose code streams are damaged; these have no checksums either."""
    files = named_files(rng.choice(CODECS))
    corrupt = rng.choice(corruption.ALL)
    chosen = rng.sample(names(), rng.choice((1, 1, 2, 6)))
    only_stream = rng.random() < 0.7
    for name in chosen:
        at = files[name].rindex(b"\xe0\x7f\x10\0") + (28 if only_stream else 0)
        files[name] = files[name][:at] + corrupt(rng, files[name][at:])
    if rng.random() < 0.1:
        head, elements = split(dicom_files()[0])
        files[chosen[0]] = joined(labelled(head, rng.choice(CODECS)), elements)
    what = f"{corrupt.__name__} in {len(chosen)} code streams"
    return Attack(write(folder / "exam", files), Allowed.ANYTHING, what)


def damaged_deflated(rng: random.Random, folder: Path) -> Attack:
    """Deflated files: damaged, cut off, with something behind, or bombs of some MiB."""
    files = named_files(DEFLATED)
    chosen = [names()[i] for i in _several(rng)]
    allowed, what = (
        Allowed.NOTICED,
        rng.choice(("cut", "bomb", "rest", "damaged", "damaged inside")),
    )
    for name in chosen:
        head, elements = split(dicom_files()[names().index(name)])
        body = files[name][len(labelled(head, DEFLATED)) :]
        start = files[name][: -len(body)]
        if what == "cut":
            files[name] = start + corruption.cut(rng, body)
        elif what == "bomb":
            long = [*elements, Element(0x60003000, b"OW", bytes(2**24))]
            files[name] = deflated(joined(head, sorted(long)))
            if len(chosen) > 6:
                break
        elif what == "rest":
            files[name] += rng.randbytes(rng.choice((1, 2, 100)))
        elif what == "damaged":
            allowed = Allowed.ANYTHING
            files[name] = start + rng.choice(corruption.ALL)(rng, body)
        else:
            allowed = Allowed.ANYTHING
            corrupted = rng.choice(corruption.ALL)(rng, joined(b"", elements))
            files[name] = start + zlib.compress(corrupted, wbits=-zlib.MAX_WBITS)
    return Attack(
        write(folder / "exam", files), allowed, f"deflated, {what}, in {len(chosen)} files"
    )


def damaged_enhanced(rng: random.Random, folder: Path) -> Attack:
    """One multi-frame file with wrong counts, indices, frames and values, or damaged bytes."""
    if rng.random() < 0.3:
        corrupt = rng.choice(corruption.ALL)
        data = corrupt(rng, enhanced_file())
        # a file that is cut off in its header has no checksum either
        return _alone(folder, data, Allowed.ANYTHING, f"enhanced, {corrupt.__name__}")
    file = pydicom.dcmread(BytesIO(enhanced_file()))
    change = rng.choice(OF_ENHANCED)
    allowed = change(rng, file)
    stream = BytesIO()
    try:
        file.save_as(stream)
    except Exception:  # a value that pydicom can't write: written as the untouched file
        stream = BytesIO(enhanced_file())
    return _alone(folder, stream.getvalue(), allowed, f"enhanced, {change.__name__}")


def _alone(folder: Path, data: bytes, allowed: Allowed, what: str) -> Attack:
    return Attack(write(folder / "exam", {"enhanced.dcm": data}), allowed, what)


def _wrong_count(rng: random.Random, file: Dataset) -> Allowed:
    file.NumberOfFrames = rng.choice((0, 1, 39, 41, 2**31 - 1, -1))
    return Allowed.NOTICED


def _odd_count(rng: random.Random, file: Dataset) -> Allowed:
    file[0x00280008]._value = rng.choice(("", "x", "1e9", "4O", "40\\40", "9" * 500, "NaN"))
    return Allowed.NOTICED


def _lost_groups(rng: random.Random, file: Dataset) -> Allowed:
    groups = file.PerFrameFunctionalGroupsSequence
    for _ in range(rng.choice((1, 5, 40))):
        if groups:
            del groups[rng.randrange(len(groups))]
    return Allowed.NOTICED


def _lost_frames(rng: random.Random, file: Dataset) -> Allowed:
    count = rng.choice((1, 2, 8))
    file.NumberOfFrames -= count
    groups = file.PerFrameFunctionalGroupsSequence
    for _ in range(count):
        del groups[rng.randrange(len(groups))]
    # the pixels of the frames after the lost ones are now those of others
    return Allowed.ANYTHING


def _repeated_group(rng: random.Random, file: Dataset) -> Allowed:
    groups = file.PerFrameFunctionalGroupsSequence
    groups[rng.randrange(len(groups))] = groups[rng.randrange(len(groups))]
    return Allowed.NOTICED


def _lost_macro(rng: random.Random, file: Dataset) -> Allowed:
    shared = rng.random() < 0.5
    owners = (
        file.SharedFunctionalGroupsSequence if shared else file.PerFrameFunctionalGroupsSequence
    )
    for item in owners if rng.random() < 0.3 else [rng.choice(owners)]:
        elements = list(item)
        if elements:
            chosen = rng.choice(elements)
            if rng.random() < 0.5:
                del item[chosen.tag]
            else:
                item[chosen.tag].value = []
    return Allowed.NOTICED


def _odd_in_macro(rng: random.Random, file: Dataset) -> Allowed:
    """A value of one frame, or of all that share it."""
    group = rng.choice(
        (*file.PerFrameFunctionalGroupsSequence, file.SharedFunctionalGroupsSequence[0])
    )
    macro = rng.choice(list(group)).value[0]
    element = rng.choice(list(macro))
    text = rng.choice(NONSENSE).decode("latin-1")
    if element.VR in ("FD", "US", "UL", "SL", "SS", "FL"):
        numbers = {"FD": ("nan", "inf", "-inf", "1e300", "-1"), "FL": ("nan", "inf", "1e30")}
        whole = rng.choice((0, 1, 2**16 - 1, 2**32 - 1)) if element.VR == "UL" else 65535
        found = numbers.get(element.VR)
        element._value = float(rng.choice(found)) if found else whole
    else:
        element._value = text
        element.VR = rng.choice((element.VR, "LO", "UT"))
    return Allowed.NOTICED


def _wrong_index(rng: random.Random, file: Dataset) -> Allowed:
    for group in file.PerFrameFunctionalGroupsSequence:
        if rng.random() < 0.3:
            content = group.FrameContentSequence[0]
            content.TemporalPositionIndex = rng.choice((0, 1, 2**32 - 1, 7))
            content.add_new(0x00209157, "UL", [rng.choice((0, 2**32 - 1)), 1])
    return Allowed.NOTICED  # the times tell the frames apart


def _moved_frame(rng: random.Random, file: Dataset) -> Allowed:
    group = rng.choice(file.PerFrameFunctionalGroupsSequence)
    group.PlanePositionSequence[0].ImagePositionPatient = rng.choice(
        ([-110, -120, 45], [-110, -120, 300], [-50, -120, 40], [0, 0, 0], [-110, -120, 42.5])
    )
    return Allowed.NOTICED


def _contradicting(rng: random.Random, file: Dataset) -> Allowed:
    """What every frame says is said of the whole file too, otherwise."""
    file.ImagePositionPatient, file.PixelSpacing = [0, 0, 0], [1, 1]
    file.RescaleSlope, file.RescaleIntercept = 2, 0
    file.AcquisitionTime, file.AcquisitionDateTime = "000000", "20200101000000"
    return Allowed.SAME


def _other_pixels(rng: random.Random, file: Dataset) -> Allowed:
    data = file.PixelData
    frame = 32 * 32 * 2
    file.PixelData = rng.choice((data[: -3 * frame], data[:-1], data[: len(data) // 2], b""))
    return Allowed.NOTICED


def _index_overflow(rng: random.Random, file: Dataset) -> Allowed:
    """Counts whose product needs more than 64 bits."""
    file.Rows = file.Columns = rng.choice((65535, 4096, 0))
    file.BitsAllocated = rng.choice((16, 64, 65535))
    return Allowed.NOTICED


OF_ENHANCED = (
    _wrong_count, _odd_count, _lost_groups, _lost_frames, _repeated_group, _lost_macro,
    _odd_in_macro, _odd_in_macro, _odd_in_macro, _wrong_index, _moved_frame, _contradicting,
    _other_pixels, _index_overflow,
)  # fmt: skip


def rearranged(rng: random.Random, folder: Path) -> Attack:
    """Whole files lost, doubled, exchanged, of others, or with others."""
    files = named_files()
    change = rng.choice(OF_FILES)
    allowed = change(rng, files)
    return Attack(write(folder / "exam", files), allowed, change.__name__.strip("_"))


Files = dict[str, bytes]


def _replaced(data: bytes, **values: bytes) -> bytes:
    head, elements = split(data)
    for name, value in values.items():
        tag = TAGS[name]
        elements = _put(elements, _own(elements, tag)._replace(value=value))
    return joined(head, elements)


def _value(data: bytes, name: str) -> bytes:
    return _own(split(data)[1], TAGS[name]).value


def _lost_files(rng: random.Random, files: Files) -> Allowed:
    for name in rng.sample(list(files), rng.choice((1, 2, 3, 10, 39))):
        del files[name]
    return Allowed.NOTICED


def _resent(rng: random.Random, files: Files) -> Allowed:
    for name in rng.sample(list(files), rng.choice((1, 5, 40))):
        files[f"again-{name}"] = files[name]
    return Allowed.SAME


def _resent_differently(rng: random.Random, files: Files) -> Allowed:
    name = rng.choice(list(files))
    data = bytearray(files[name])
    data[-1 - 2 * rng.randrange(500)] ^= 2
    files[f"again-{name}"] = bytes(data)
    return Allowed.NOTICED


def _exchanged_pixels(rng: random.Random, files: Files) -> Allowed:
    a, b = rng.sample(list(files), 2)
    pixels = _value(files[a], "PixelData"), _value(files[b], "PixelData")
    files[a], files[b] = (
        _replaced(files[a], PixelData=pixels[1]),
        _replaced(files[b], PixelData=pixels[0]),
    )
    return Allowed.ANYTHING


def _moved_images(rng: random.Random, files: Files) -> Allowed:
    """An image at the place or the time of another one."""
    a, b = rng.sample(list(files), 2)
    name = rng.choice(("ImagePositionPatient", "AcquisitionTime", "SOPInstanceUID"))
    other = _value(files[b], name)
    if other == _value(files[a], name):
        return Allowed.SAME
    files[a] = _replaced(files[a], **{name: other})
    return Allowed.NOTICED


def _one_id(rng: random.Random, files: Files) -> Allowed:
    value = rng.choice((b"", b"1.2.3 ", b"\xff\xff"))
    for name in files:
        files[name] = _replaced(files[name], SOPInstanceUID=value)
    return Allowed.SAME


def _other_patient(rng: random.Random, files: Files) -> Allowed:
    for name in rng.sample(list(files), rng.choice((1, 3, 20))):
        files[name] = _replaced(files[name], PatientID=b"P2")
    return Allowed.NOTICED


def _two_patients(rng: random.Random, files: Files) -> Allowed:
    for name in list(files):
        files[f"b-{name}"] = _replaced(
            files[name], PatientID=b"P2", SeriesInstanceUID=b"1.9 ", StudyInstanceUID=b"1.8 "
        )
    return Allowed.NOTICED


def _other_sizes(rng: random.Random, files: Files) -> Allowed:
    rows = rng.choice((0, 1, 16, 31, 33, 64, 65535))
    for name in rng.sample(list(files), rng.choice((1, 3, 40))):
        size = min(rows * 64, 2**16)
        pixels = (_value(files[name], "PixelData") * 64)[:size]
        files[name] = _replaced(files[name], Rows=rows.to_bytes(2, "little"), PixelData=pixels)
    return Allowed.ANYTHING


def _too_many_pixels(rng: random.Random, files: Files) -> Allowed:
    """A matrix that is smaller than the pixels that are there."""
    side = rng.choice(("Rows", "Columns"))
    for name in files:
        files[name] = _replaced(files[name], **{side: b"\x18\0"})
    return Allowed.NOTICED


def _other_orders(rng: random.Random, files: Files) -> Allowed:
    contents = list(files.values())
    rng.shuffle(contents)
    files.clear()
    for number, content in enumerate(contents):
        files[rng.choice(("{}", "x{}.IMA", "\u00e9{}", "{} .dcm", "a b {}")).format(number)] = (
            content
        )
    return Allowed.SAME


def _strangers(rng: random.Random, files: Files) -> Allowed:
    for number in range(rng.choice((1, 3, 20))):
        localizer = _replaced(
            rng.choice(list(files.values())),
            ImageType=b"ORIGINAL\\PRIMARY\\LOCALIZER ",
            SeriesInstanceUID=b"1.5 ",
        )
        report = _replaced(
            rng.choice(list(files.values())),
            Modality=b"SR",
            SOPClassUID=b"1.2.840.10008.5.1.4.1.1.88.67",
        )
        text = rng.choice((b"", b"hello", rng.randbytes(2000), b"\x89PNG\r\n", b"PK\3\4"))
        files[f"s{number}"] = rng.choice((localizer, report, text))
    return Allowed.SAME


def _second_scan(rng: random.Random, files: Files) -> Allowed:
    for number, name in enumerate(list(files)):
        second = number // SLICES
        files[f"late-{name}"] = _replaced(
            files[name],
            AcquisitionTime=f"11{second // 20:02d}{second % 20 * 3:02d}.5 ".encode(),
            SeriesInstanceUID=rng.choice(
                (b"1.6 ", b"1.6 ", _value(files[name], "SeriesInstanceUID"))
            ),
        )
    return Allowed.NOTICED


def _other_syntax(rng: random.Random, files: Files) -> Allowed:
    """Files that say they are written otherwise than they are."""
    syntax = rng.choice([s for s in SYNTAXES if s != EXPLICIT])
    for name in rng.sample(list(files), rng.choice((1, 2, 40))):
        head, elements = split(files[name])
        files[name] = joined(labelled(head, syntax), elements)
    return Allowed.NOTICED


OF_FILES = (
    _lost_files, _resent, _resent_differently, _exchanged_pixels, _moved_images, _moved_images,
    _one_id, _other_patient, _two_patients, _other_sizes, _too_many_pixels, _other_orders,
    _strangers, _second_scan, _other_syntax,
)  # fmt: skip
