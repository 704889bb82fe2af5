"""Which NIfTI files are the exam, in the trees that people have."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicomfactory import FRAMES, STEP_S, tm, truth, zipped
from niftifactory import AFFINE_RAS, VOLUME_TIMING, save_nifti

import bolus
from bolus.acquire.describe import describe
from bolus.acquire.exam import read_exam
from bolus.errors import AmbiguousExam, BadGeometry, DamagedFile, MissingTiming, TooFewFrames
from bolus.types import Exam, Grade

XYZT = truth().transpose(3, 2, 1, 0)
VOLUME = XYZT[..., 0]
OTHER = np.roll(XYZT, 1, axis=0)


def is_the_exam(found: Exam) -> bool:
    return bool(np.array_equal(found.frames, truth()))


def codes(found: Exam) -> list[str]:
    return [f.code for f in found.findings]


def maps(folder: Path, names: tuple[str, ...]) -> None:
    for name in names:
        save_nifti(folder, VOLUME, sidecar=None, name=name)


# one file with a time course


def isles_2018(root: Path) -> None:
    """TRAINING/case_1 with a folder for each file."""
    case = root / "case_1"
    exam = "SMIR.Brain.XX.O.CT_4DPWI.345561"
    save_nifti(case / exam, name=f"{exam}.nii", sidecar=None)
    kinds = ("CT", "CT_CBF", "CT_CBV", "CT_MTT", "CT_Tmax", "OT")
    for number, kind in enumerate(kinds):
        name = f"SMIR.Brain.XX.O.{kind}.34556{number + 2}"
        maps(case / name, (f"{name}.nii",))


def isles_2024(root: Path) -> None:
    """One subject with the raw exam, the exam moved onto the NCCT, maps and masks."""
    name = "sub-stroke0001_ses-01"
    raw = root / "raw_data" / "sub-stroke0001" / "ses-01"
    save_nifti(raw, name=f"{name}_ctp.nii.gz", sidecar=None)
    maps(raw, (f"{name}_ncct.nii.gz", f"{name}_cta.nii.gz"))
    maps(raw / "perfusion-maps", tuple(f"{name}_{m}.nii.gz" for m in ("cbf", "mtt", "tmax")))
    derived = root / "derivatives" / "sub-stroke0001" / "ses-01"
    save_nifti(derived, OTHER, name=f"{name}_space-ncct_ctp.nii.gz", sidecar=None)
    maps(derived, (f"{name}_space-ncct_cta.nii.gz", f"{name}_space-ncct_lesion-msk.nii.gz"))
    maps(root / "derivatives" / "sub-stroke0001" / "ses-02", ("sub-stroke0001_ses-02_dwi.nii.gz",))


def bids(root: Path) -> None:
    save_nifti(root / "sub-07" / "ct", name="sub-07_ctp.nii.gz")
    maps(root / "sub-07" / "ct", ("sub-07_ct.nii.gz",))
    (root / "dataset_description.json").write_text("{}")
    (root / "participants.tsv").write_text("participant_id\nsub-07\n")


def beside_single_volumes(root: Path) -> None:
    save_nifti(root, name="ctp.nii.gz")
    maps(root, ("cta.nii.gz", "ncct.nii.gz", "mask.nii", "tmax.nii.gz"))


def corrected(ending: str) -> Any:
    def build(root: Path) -> None:
        save_nifti(root, OTHER, name="5_CTP.nii.gz")
        save_nifti(root, name=f"5_CTP{ending}.nii.gz")

    return build


def cut_out(root: Path) -> None:
    save_nifti(root, name="5_CTP.nii.gz")
    save_nifti(root, OTHER[:24], name="5_CTP_ROI1.nii.gz")


def sent_twice(root: Path) -> None:
    save_nifti(root, name="ctp.nii.gz")
    save_nifti(root / "copy", name="ctp_again.nii")


def short_beside(root: Path) -> None:
    save_nifti(root, name="ctp.nii.gz")
    save_nifti(root, OTHER[..., :3], name="colours.nii.gz", sidecar=None)


TREES = [
    isles_2018, isles_2024, bids, beside_single_volumes, corrected("_Eq"), corrected("_Tilt"),
    corrected("_Tilt_Eq"), corrected("_Eq_1"), cut_out, sent_twice, short_beside,
]  # fmt: skip
IDS = ["ISLES 2018", "ISLES 2024", "BIDS", "single volumes", "_Eq", "_Tilt", "_Tilt_Eq", "_Eq_1",
       "_ROI", "sent twice", "3 frames"]  # fmt: skip


@pytest.mark.parametrize("build", TREES, ids=IDS)
@pytest.mark.parametrize("form", ["folder", "zip", "tar", "tar.gz"])
def test_the_only_time_course_is_found_and_what_was_left_is_noted(tmp_path, build, form):
    build(tmp_path / "exam")
    found = read_exam(packed(tmp_path / "exam", form))
    assert is_the_exam(found)
    assert "files-ignored" in codes(found)
    assert max(f.grade for f in found.findings) == Grade.NOTE
    assert describe(tmp_path / "exam").frames == FRAMES


def packed(folder: Path, form: str) -> Path:
    """The folder in an archive."""
    if form == "folder":
        return folder
    target = folder.with_name(f"exam.{form}")
    if form == "zip":
        return zipped(folder, target)
    with tarfile.open(target, "w:gz" if form == "tar.gz" else "w") as archive:
        archive.add(folder, folder.name)
    return target


@pytest.mark.parametrize("below", [".", "sub-stroke0001", "sub-stroke0001/ses-01"])
def test_a_subject_and_a_session_are_named_by_their_folders(tmp_path, below):
    isles_2024(tmp_path)
    assert is_the_exam(read_exam(tmp_path / "raw_data" / below))


@pytest.mark.parametrize(
    ("others", "words"),
    [
        (["sub-02/ses-01/sub-02_ses-01_ctp"], r"2 subjects \(sub-01, sub-02\); name the folder"),
        (["sub-01/ses-02/sub-01_ses-02_ctp"], r"2 sessions \(ses-01, ses-02\)"),
        ([f"sub-{n:02d}/sub-{n:02d}_ctp" for n in range(2, 9)], r"8 subjects .*sub-06, \.\.\.\)"),
    ],
)
def test_several_subjects_or_sessions_are_listed(tmp_path, others, words):
    for name in ["sub-01/ses-01/sub-01_ses-01_ctp", *others]:
        save_nifti((tmp_path / name).parent, name=f"{Path(name).name}.nii.gz")
    with pytest.raises(AmbiguousExam, match=words):
        read_exam(tmp_path)


def test_cases_of_isles_2018_are_subjects(tmp_path):
    for case in ("case_1", "case_2"):
        save_nifti(tmp_path / case, name="SMIR.Brain.XX.O.CT_4DPWI.1.nii")
    with pytest.raises(AmbiguousExam, match=r"2 subjects \(case_1, case_2\)"):
        read_exam(tmp_path)
    assert is_the_exam(read_exam(tmp_path / "case_2"))


def test_different_time_courses_are_named_with_their_frames(tmp_path):
    save_nifti(tmp_path, name="before.nii.gz")
    save_nifti(tmp_path / "later", OTHER[..., :15], name="after.nii.gz", sidecar=None)
    with pytest.raises(AmbiguousExam, match=r"before\.nii\.gz with 20 .*after\.nii\.gz with 15"):
        read_exam(tmp_path)


def test_copies_with_other_times_are_two_exams(tmp_path):
    save_nifti(tmp_path, name="a.nii.gz")
    save_nifti(tmp_path, name="b.nii.gz", sidecar={"RepetitionTime": 2.0})
    with pytest.raises(AmbiguousExam, match="2 NIfTI files"):
        read_exam(tmp_path)


def test_volumes_without_time_are_no_exam_and_are_named(tmp_path):
    maps(tmp_path, ("cbf.nii.gz", "cbv.nii.gz", "mtt.nii.gz", "tmax.nii.gz"))
    with pytest.raises(TooFewFrames, match=r"none of its 4 NIfTI files has a time course.*cbf"):
        read_exam(tmp_path)


def test_a_damaged_file_beside_the_exam_is_a_warning(tmp_path):
    save_nifti(tmp_path)
    (tmp_path / "cut.nii.gz").write_bytes(b"\x1f\x8b")
    found = read_exam(tmp_path)
    assert is_the_exam(found)
    assert [(f.code, f.grade.name) for f in found.findings] == [("files-unreadable", "WARNING")]


def test_damaged_files_alone_are_damaged(tmp_path):
    for name in ("a.nii.gz", "b.nii.gz"):
        (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(DamagedFile, match=r"a\.nii\.gz"):
        read_exam(tmp_path)


# one file for each time point


def at(t: int) -> dict[str, Any]:
    """The JSON file of a frame, as dcm2niix writes it."""
    text = tm(12 * 3600 + STEP_S * t)
    time = f"{text[:2]}:{text[2:4]}:{float(text[4:]):g}"
    return {"ConversionSoftware": "dcm2niix", "AcquisitionTime": time}


def time_points(
    folder: Path, names: list[str], sidecars: list[dict[str, Any] | None], **options: Any
) -> Path:
    for t, (name, sidecar) in enumerate(zip(names, sidecars, strict=True)):
        save_nifti(folder, XYZT[..., t], sidecar=sidecar, name=name, **options)
    return folder


NUMBERED = [f"vol{t + 1:04d}.nii.gz" for t in range(FRAMES)]
LETTERS = ["ctp.nii", *(f"ctp{chr(97 + t)}.nii" for t in range(FRAMES - 1))]
NO_JSON = [None] * FRAMES


@pytest.mark.parametrize(
    "names",
    [
        NUMBERED,
        [f"ctp_e{t + 1}.nii" for t in range(FRAMES)],
        [f"{t}.nii" for t in range(FRAMES)],
        [f"3_CTP_20000101{120000 + 2 * t}_{t + 3}.nii.gz" for t in range(FRAMES)],
        LETTERS,
        LETTERS[::-1],
    ],
    ids=["vol0001", "_e1", "0", "several numbers", "letters", "letters in another order"],
)
def test_one_file_for_each_time_point_is_the_exam(tmp_path, names):
    folder = time_points(tmp_path / "exam", names, [at(t) for t in range(FRAMES)])
    maps(folder, ("cbf.nii", "mask.nii"))
    found = read_exam(folder)
    assert is_the_exam(found)
    assert np.allclose(found.times_s[:, 0], [STEP_S * t for t in range(FRAMES)])
    assert describe(folder).frames == FRAMES
    assert is_the_exam(read_exam(packed(folder, "tar.gz")))


def test_the_order_of_numbers_is_that_of_people(tmp_path):
    folder = time_points(tmp_path, [f"t{t + 1}.nii" for t in range(FRAMES)], NO_JSON)
    found = bolus.read_exam(folder, interval_s=STEP_S)
    assert is_the_exam(found)
    assert codes(found) == ["times-given"]


def test_times_of_single_files_come_from_their_header_too(tmp_path):
    folder = time_points(tmp_path, [n.removesuffix(".gz") for n in NUMBERED], NO_JSON)
    with pytest.raises(MissingTiming, match="--interval"):
        read_exam(folder)
    for path in folder.iterdir():
        data = bytearray(path.read_bytes())
        data[92:96] = np.float32(STEP_S).tobytes()  # pixdim[4]
        path.write_bytes(data)
    found = read_exam(folder)
    assert np.allclose(found.times_s[1], STEP_S)
    assert codes(found) == ["timing-from-header"]


@pytest.mark.parametrize(
    "field",
    [
        lambda t: {"VolumeTiming": [STEP_S * t]},
        lambda t: {"FrameTimesStart": STEP_S * t},
        lambda t: {"TriggerDelayTime": 1000 * STEP_S * t},
        lambda t: {"AcquisitionDateTime": f"2000-01-01T{at(t)['AcquisitionTime']}"},
        lambda t: {"AcquisitionDateTime": "2000-01-01T12:00:0.000000", **at(t)},
        lambda t: {"RepetitionTime": STEP_S, "AcquisitionTime": "12:00:0.000000"},
    ],
    ids=["VolumeTiming", "FrameTimesStart", "TriggerDelayTime", "AcquisitionDateTime",
         "constant AcquisitionDateTime", "RepetitionTime"],
)  # fmt: skip
def test_the_clock_that_ticks_gives_the_times(tmp_path, field):
    folder = time_points(tmp_path, NUMBERED, [field(t) for t in range(FRAMES)])
    found = read_exam(folder)
    assert np.allclose(found.times_s[:, 0], [STEP_S * t for t in range(FRAMES)])
    assert is_the_exam(found)


def test_a_clock_over_midnight_goes_on(tmp_path):
    late = [
        {"AcquisitionTime": f"{h:02d}:{m:02d}:{s:g}"}
        for t in range(FRAMES)
        for m, s in [divmod((86_380 + 2 * t) % 86_400, 60)]
        for h, m in [divmod(m, 60)]
    ]
    found = read_exam(time_points(tmp_path, NUMBERED, late))
    assert np.allclose(found.times_s[:, 0], [2 * t for t in range(FRAMES)])
    assert is_the_exam(found)


def test_letters_tell_no_order(tmp_path):
    """dcm2niix gives them in the order in which it comes across the files."""
    folder = time_points(tmp_path, LETTERS, NO_JSON)
    with pytest.raises(MissingTiming, match=r"letters in names.*-ba n"):
        read_exam(folder)
    found = bolus.read_exam(folder, interval_s=STEP_S)
    assert is_the_exam(found)
    assert codes(found)[0] == "order-by-name"
    assert found.findings[0].grade == Grade.WARNING


def test_names_that_contradict_the_times_lose_with_a_note(tmp_path):
    found = read_exam(time_points(tmp_path, NUMBERED[::-1], [at(t) for t in range(FRAMES)]))
    assert is_the_exam(found)
    assert "order-by-time" in codes(found)


@pytest.mark.parametrize("wrong", ["shape", "affine"])
def test_a_frame_that_differs_is_refused_by_its_name(tmp_path, wrong):
    folder = time_points(tmp_path, NUMBERED, [at(t) for t in range(FRAMES)])
    if wrong == "shape":
        save_nifti(folder, VOLUME[:-2], name=NUMBERED[6], sidecar=at(6))
    else:
        save_nifti(folder, VOLUME, AFFINE_RAS + np.eye(4, k=3), at(6), name=NUMBERED[6])
    with pytest.raises(BadGeometry, match=r"vol0007\.nii\.gz: has .* vol0001\.nii\.gz"):
        read_exam(folder)


def test_two_sets_of_time_points_are_named(tmp_path):
    time_points(tmp_path, NUMBERED, NO_JSON)
    time_points(tmp_path, [f"late{t}.nii" for t in range(FRAMES)], NO_JSON)
    with pytest.raises(AmbiguousExam, match=r"2 time courses .*20 like late0"):
        read_exam(tmp_path)


def test_maps_of_many_subjects_are_no_time_course(tmp_path):
    for n in range(10):
        maps(tmp_path / f"sub-{n:02d}", (f"sub-{n:02d}_ncct.nii.gz",))
    with pytest.raises(AmbiguousExam, match="10 subjects"):
        read_exam(tmp_path)


def test_one_time_point_says_how_to_read_them_all(tmp_path):
    folder = time_points(tmp_path, NUMBERED, NO_JSON)
    with pytest.raises(TooFewFrames, match="name the folder that holds them all"):
        read_exam(folder / NUMBERED[0])


def test_the_json_file_lies_beside_its_nifti_in_an_archive(tmp_path):
    save_nifti(tmp_path / "exam" / "deep", name="HEAD.NII.GZ", sidecar=None, step_s=0)
    (tmp_path / "exam" / "deep" / "HEAD.json").write_text(json.dumps(VOLUME_TIMING))
    assert is_the_exam(read_exam(packed(tmp_path / "exam", "zip")))


@pytest.mark.parametrize(
    ("field", "used"),
    [
        (lambda t: {"AcquisitionTime": f"12:01:{2.0 * t:g}", "TriggerDelayTime": 1500.0 * t}, 2.0),
        (
            lambda t: {
                "AcquisitionDateTime": f"2021-07-16T12:00:{2.2 * t:09.6f}",
                "AcquisitionTime": f"12:00:{1.5 * t:09.6f}",
            },
            2.2,
        ),
    ],
    ids=["TriggerDelayTime", "AcquisitionTime"],
)
def test_clocks_that_disagree_are_a_warning_with_both_intervals(tmp_path, field, used):
    found = read_exam(time_points(tmp_path, NUMBERED, [field(t) for t in range(FRAMES)]))
    assert np.allclose(np.diff(found.times_s[:, 0]), used)
    (warned,) = [f for f in found.findings if f.code == "clocks-disagree"]
    assert warned.grade == Grade.WARNING
    assert f"frames are {used:g} or 1.5 s apart" in warned.message
    assert f"by up to {(used - 1.5) * (FRAMES - 1):.3g} s" in warned.message


def test_a_delay_in_milliseconds_crosses_no_midnight(tmp_path):
    delays = [{"TriggerDelayTime": 3000.0 * t} for t in range(FRAMES)]
    found = read_exam(time_points(tmp_path, NUMBERED, delays))
    assert np.allclose(np.diff(found.times_s[:, 0]), 3.0)


def hhmmss(second: float) -> float:
    minute, second = divmod(second, 60)
    return 120_000 + 100 * minute + second


@pytest.mark.parametrize(
    "number",
    [hhmmss, lambda s: 43_200 + s, lambda s: str(hhmmss(s))],
    ids=["HHMMSS", "seconds", "text"],
)
def test_a_time_of_day_as_a_number_crosses_minutes(tmp_path, number):
    times = [{"AcquisitionTime": number(30.5 + 2 * t)} for t in range(FRAMES)]
    found = read_exam(time_points(tmp_path, NUMBERED, times))
    assert np.allclose(np.diff(found.times_s[:, 0]), 2.0)


def test_a_file_without_a_time_among_files_with_one_is_named(tmp_path):
    folder = time_points(tmp_path, NUMBERED, [at(t) for t in range(FRAMES)])
    save_nifti(folder, VOLUME, sidecar=None, name="vol0100.nii.gz")
    with pytest.raises(MissingTiming, match=r"vol0100\.nii\.gz: 20 of 21 files have a time"):
        read_exam(folder)
    found = bolus.read_exam(folder, interval_s=2)
    (warned,) = [f for f in found.findings if f.code == "times-partial"]
    assert warned.grade == Grade.WARNING


def test_a_short_time_course_hides_no_time_points(tmp_path):
    folder = time_points(tmp_path, NUMBERED, [at(t) for t in range(FRAMES)])
    save_nifti(folder, OTHER[..., :2], sidecar=None, name="baseline.nii.gz")
    found = read_exam(folder)
    assert is_the_exam(found)
    assert "files-ignored" in codes(found)


SEVERAL_NUMBERS = [f"scan{7 * t % FRAMES:02d}_t{t:02d}.nii.gz" for t in range(FRAMES)]


@pytest.mark.parametrize(
    "names",
    [
        SEVERAL_NUMBERS,
        [f"t{t:02d}_at{7 * t % FRAMES * 37}.nii.gz" for t in range(FRAMES)],
        [f"at{7 * t % FRAMES * 37}_t{t:02d}.nii.gz" for t in range(FRAMES)],
    ],
    ids=["both count", "the first counts", "the last counts"],
)
def test_of_several_numbers_the_one_that_counts_gives_the_order_with_a_warning(tmp_path, names):
    found = bolus.read_exam(time_points(tmp_path, names, NO_JSON), interval_s=2)
    assert is_the_exam(found)
    (warned,) = [f for f in found.findings if f.code == "order-by-name"]
    assert warned.grade == Grade.WARNING
    assert "several numbers" in warned.message


def test_of_several_numbers_none_is_needed_where_there_are_times(tmp_path):
    folder = time_points(tmp_path, SEVERAL_NUMBERS, [at(t) for t in range(FRAMES)])
    found = read_exam(folder)
    assert is_the_exam(found)
    assert "order-by-name" not in codes(found)


def test_a_file_of_five_dimensions_is_named_where_nothing_else_is_an_exam(tmp_path):
    save_nifti(tmp_path, np.stack([XYZT, OTHER], axis=-1), name="two.nii.gz")
    save_nifti(tmp_path, VOLUME, sidecar=None, name="ncct.nii.gz")
    with pytest.raises(TooFewFrames, match=r"two\.nii\.gz: has the shape .*file of its own"):
        read_exam(tmp_path)
    (tmp_path / "ncct.nii.gz").unlink()
    save_nifti(tmp_path, np.stack([XYZT, OTHER], axis=-1), name="again.nii.gz")
    with pytest.raises(TooFewFrames, match=r"again\.nii\.gz: has the shape"):
        read_exam(tmp_path)


def test_letters_go_on_after_z(tmp_path):
    """dcm2niix: ctp, ctpa ... ctpz, ctpza ..."""
    letters = [chr(97 + t) for t in range(26)]
    names = ["ctp.nii", *(f"ctp{c}.nii" for c in letters), *(f"ctpz{c}.nii" for c in letters[:13])]
    for t, name in enumerate(names):
        save_nifti(tmp_path, VOLUME, sidecar={"VolumeTiming": [2.0 * t]}, name=name)
    assert describe(tmp_path).frames == 40


@pytest.mark.parametrize("step", [1, 2])
def test_numbers_of_acquisitions_tell_that_files_were_overwritten(tmp_path, step):
    lost = (3, 7, 8)
    kept = [t for t in range(FRAMES) if t not in lost]
    for t in range(FRAMES):
        sidecar = {**at(t), "AcquisitionNumber": 1 + step * t}
        save_nifti(tmp_path / "all", XYZT[..., t], sidecar=sidecar, name=NUMBERED[t])
    found = read_exam(tmp_path / "all")
    assert "frames-missing" not in codes(found)
    for t in lost:
        (tmp_path / "all" / NUMBERED[t]).unlink()
    found = read_exam(tmp_path / "all")
    assert len(found.frames) == len(kept)
    (warned,) = [f for f in found.findings if f.code == "frames-missing"]
    assert warned.grade == Grade.WARNING
    assert "3 of 20 time points" in warned.message
    assert "%s_%r" in warned.remedy
