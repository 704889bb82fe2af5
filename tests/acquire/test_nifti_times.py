"""Units, encodings, header steps and times that the user gives, for NIfTI."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from dicomfactory import FRAMES, truth
from niftifactory import VOLUME_TIMING, save_nifti

import bolus
from bolus.acquire.exam import read_exam
from bolus.acquire.given_times import GivenTimes, given_times
from bolus.acquire.nifti_times import ISLES_2018
from bolus.errors import MissingTiming, UsageError
from bolus.quality.checks import _timing
from bolus.types import Exam, Finding, Grade

EVERY_2_S = [2.0 * t for t in range(FRAMES)]


def finding(found: Exam, code: str) -> Finding:
    (one,) = [f for f in found.findings if f.code == code]
    return one


def with_header(path: Path, unit: int, step: float) -> Path:
    """Another unit of time and step in the header of a file that is not packed."""
    data = bytearray(path.read_bytes())
    data[123] = 2 | unit  # mm and the unit
    data[92:96] = np.float32(step).tobytes()
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    "sidecar",
    [
        {"RepetitionTime": 2000},
        {"FrameDuration": 2000},
        {"FrameDuration": [2000]},
        {"VolumeTiming": [1000 * t for t in EVERY_2_S]},
        {"FrameTimesStart": [1000 * t for t in EVERY_2_S], "FrameDuration": 1000},
    ],
    ids=str,
)
def test_milliseconds_in_the_json_file_are_taken_as_such_with_a_warning(tmp_path, sidecar):
    found = read_exam(save_nifti(tmp_path, sidecar=sidecar, step_s=2.0))
    assert np.allclose(found.times_s[:, 0], EVERY_2_S)
    assert finding(found, "timing-unit").grade == Grade.WARNING
    assert "milliseconds" in finding(found, "timing-unit").message


def test_slice_times_in_milliseconds_are_taken_as_such_with_a_warning(tmp_path):
    sidecar = {**VOLUME_TIMING, "SliceTiming": [0, 300, 900]}
    found = read_exam(save_nifti(tmp_path, sidecar=sidecar))
    assert np.allclose(found.times_s[0], [0, 0.3, 0.9])
    assert finding(found, "timing-unit").grade == Grade.WARNING


@pytest.mark.parametrize("value", [0.002, 20.0, 2e5, 60_000])
def test_an_interval_that_is_none_in_any_unit_is_refused(tmp_path, value):
    with pytest.raises(MissingTiming, match="is not a perfusion scan"):
        read_exam(save_nifti(tmp_path, sidecar={"RepetitionTime": value}))


@pytest.mark.parametrize("key", ["FrameDuration", "RepetitionTime"])
def test_a_list_of_one_number_stands_for_all_frames(tmp_path, key):
    found = read_exam(save_nifti(tmp_path, sidecar={key: [2.2]}))
    assert np.allclose(found.times_s[1], 2.2)
    assert found.findings == ()


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_the_encoding_of_the_json_file_does_not_matter(tmp_path, encoding):
    path = save_nifti(tmp_path)
    fields = {"InstitutionName": "Universitätsklinik Köln", "Manufacturer": "M", **VOLUME_TIMING}
    text = json.dumps(fields, ensure_ascii=False)
    (tmp_path / "head.json").write_bytes(text.encode(encoding))
    found = read_exam(path)
    assert np.array_equal(found.frames, truth())
    assert found.scanner.manufacturer == "M"
    assert found.findings == ()


def test_a_header_in_seconds_is_believed_with_a_note_and_passes_the_check(tmp_path):
    found = read_exam(save_nifti(tmp_path, sidecar=None))
    assert np.allclose(found.times_s[1], 2.2)
    assert finding(found, "timing-from-header").grade == Grade.NOTE
    assert _timing(found).grade == Grade.NOTE
    assert max(f.grade for f in found.findings) == Grade.NOTE


def test_a_header_without_a_unit_is_a_warning(tmp_path):
    found = read_exam(with_header(save_nifti(tmp_path, sidecar=None, name="a.nii"), 0, 2.2))
    assert np.allclose(found.times_s[1], 2.2)
    assert finding(found, "timing-assumed").grade == Grade.WARNING
    assert _timing(found).grade == Grade.WARNING


@pytest.mark.parametrize(("unit", "step"), [(8, 2200.0), (0, 2200.0), (16, 2.2), (24, 2.2)])
def test_a_header_in_another_unit_than_it_says_is_a_warning(tmp_path, unit, step):
    found = read_exam(with_header(save_nifti(tmp_path, sidecar=None, name="a.nii"), unit, step))
    assert np.allclose(found.times_s[1], 2.2)
    assert finding(found, "timing-unit").grade == Grade.WARNING


def test_one_second_is_what_programs_write_that_know_none(tmp_path):
    """ITK writes 1 s, nibabel 1 without a unit; dcm2niix 0."""
    path = save_nifti(tmp_path, sidecar=None, name="a.nii")
    found = read_exam(with_header(path, 8, 1.0))
    assert "know no interval" in finding(found, "timing-assumed").message
    for step in (0.0, 1.0):
        with pytest.raises(MissingTiming, match=r"unknown.*--interval.*VolumeTiming"):
            read_exam(with_header(path, 0, step))


def test_isles_2018_has_a_frame_each_second(tmp_path):
    name = "SMIR.Brain.XX.O.CT_4DPWI.345561.nii"
    assert ISLES_2018.fullmatch(name)
    found = read_exam(with_header(save_nifti(tmp_path, sidecar=None, name=name), 0, 1.0))
    assert np.allclose(found.times_s[1], 1.0)
    assert finding(found, "timing-from-header").grade == Grade.NOTE


@pytest.mark.parametrize(("sidecar", "warned"), [(1.5, True), (2.2, False)])
def test_a_header_that_says_something_else_is_a_warning(tmp_path, sidecar, warned):
    found = read_exam(save_nifti(tmp_path, sidecar={"RepetitionTime": sidecar}))
    assert found.times_s[1, 0] == sidecar
    assert ("clocks-disagree" in [f.code for f in found.findings]) == warned


def test_a_file_of_dcm2niix_without_times_says_where_they_are(tmp_path):
    sidecar = {"ConversionSoftware": "dcm2niix", "AcquisitionTime": "12:00:0.000000"}
    with pytest.raises(MissingTiming, match=r"dcm2niix found no interval.*--interval"):
        read_exam(save_nifti(tmp_path, sidecar=sidecar, step_s=0))


# times that the user gives


@pytest.mark.parametrize(
    "sidecar",
    [None, {"RepetitionTime": 5}, {"RepetitionTime": "x"}, {"VolumeTiming": [0, 1]}],
    ids=str,
)
def test_given_times_override_everything_with_a_note(tmp_path, sidecar):
    path = save_nifti(tmp_path, sidecar=sidecar, step_s=0)
    found = bolus.read_exam(path, interval_s=2)
    assert np.allclose(found.times_s[:, 0], EVERY_2_S)
    assert finding(found, "times-given").grade == Grade.NOTE
    uneven = [1.0, *(7 + 2.0 * t for t in range(1, FRAMES))]
    found = bolus.read_exam(path, times=uneven)
    assert np.allclose(found.times_s[:, 0], np.array(uneven) - 1)
    assert bolus.describe(path, times=uneven).slice_times[0].dt_max_s == 8


def test_given_times_keep_the_times_of_slices(tmp_path):
    path = save_nifti(tmp_path, sidecar={"SliceTiming": [0, 0.5, 1.0]}, step_s=0)
    assert np.allclose(bolus.read_exam(path, interval_s=2).times_s[1], [2, 2.5, 3])


@pytest.mark.parametrize(
    "text",
    [
        "\n".join(map(str, EVERY_2_S)),
        ", ".join(map(str, EVERY_2_S)),
        " ".join(map(str, EVERY_2_S)) + "\n\n",
        ";".join(map(str, EVERY_2_S)),
        "\t".join(map(str, EVERY_2_S)),
        "\r\n".join(f"{t:e}," for t in EVERY_2_S),
        json.dumps(EVERY_2_S),
        json.dumps(EVERY_2_S, indent=1),
        "\n".join(f"{t:.1f}".replace(".", ",") for t in EVERY_2_S),
        "; ".join(f"{t:.1f}".replace(".", ",") for t in EVERY_2_S),
        "\n".join(f"{n},{t}" for n, t in enumerate(EVERY_2_S)),
        "frame;time\n" + "\n".join(f"{n};{t}" for n, t in enumerate(EVERY_2_S, 1)),
        "time (s)\n" + "\n".join(map(str, EVERY_2_S)),
    ],
    ids=[
        "lines",
        "commas",
        "spaces",
        "semicolons",
        "tabs",
        "windows",
        "JSON",
        "JSON in lines",
        "decimal commas",
        "decimal commas in one line",
        "two columns",
        "named columns",
        "named",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_times_are_read_from_a_file(tmp_path, text, encoding):
    (tmp_path / "times.txt").write_bytes(text.encode(encoding))
    given = given_times(times=tmp_path / "times.txt")
    assert given is not None
    assert np.array_equal(given.of(FRAMES, "exam"), EVERY_2_S)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("0\n1\nx\n", r"times\.txt: line 3 holds 'x', which is no number"),
        ("0\n1,5\n1", r"line 3 has the time 1 s after 5 s; times must increase"),
        ("0,1\n1,2\n2,4\n3,6\n4,8\n5,9\n6,11\n7,13", "decimals or between columns"),
        ("nan\n1\n2", "line 1 holds 'nan'"),
        ("0 1 nan", "line 1 holds 'nan'"),
        ("0 1 1e999", "line 1 holds '1e999'"),
        ("0\n2\n2", r"line 3 has the time 2 s after 2 s"),
        ("\n\n", "holds no times"),
    ],
)
def test_a_file_of_times_that_is_none_is_refused_with_its_line(tmp_path, text, message):
    (tmp_path / "times.txt").write_text(text)
    with pytest.raises(UsageError, match=message):
        given_times(times=tmp_path / "times.txt")


def test_a_file_of_times_that_is_missing_is_refused(tmp_path):
    with pytest.raises(UsageError, match=r"none\.txt: the times can't be read"):
        given_times(times=tmp_path / "none.txt")


@pytest.mark.parametrize(
    "wrong",
    [
        {"interval_s": 0.2}, {"interval_s": 7}, {"interval_s": float("nan")},
        {"interval_s": "2"}, {"interval_s": True}, {"times": []}, {"times": [0, "x"]},
        {"times": [0, None]}, {"times": 3}, {"times": [1, 0]}, {"interval_s": 2, "times": [0, 2]},
    ],
    ids=str,
)  # fmt: skip
def test_times_that_are_none_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match=r"interval|times"):
        given_times(**wrong)


def test_a_wrong_number_of_times_is_refused(tmp_path):
    path = save_nifti(tmp_path)
    with pytest.raises(UsageError, match=r"head.*19 times were given, the exam has 20 frames"):
        bolus.read_exam(path, times=EVERY_2_S[:-1])


def test_an_exam_in_memory_has_its_times(tmp_path):
    exam = bolus.read_exam(save_nifti(tmp_path))
    with pytest.raises(UsageError, match="series and times"):
        bolus.run(exam, interval_s=2)


def test_nothing_given_is_nothing() -> None:
    assert given_times() is None
    assert np.array_equal(GivenTimes(interval_s=1.5).of(3, "exam"), [0, 1.5, 3])


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--interval", "2"], 0, "every 2 s"),
        (["--times", "TIMES"], 0, "every 2 s"),
        (["--interval", "2", "--times", "TIMES"], 2, "not both"),
        (["--interval", "200"], 2, "0.3 to 6"),
        ([], 4, "--interval"),
    ],
    ids=str,
)
def test_the_command_line_takes_an_interval_or_a_file(tmp_path, options, code, words):
    path = save_nifti(tmp_path, sidecar=None, step_s=0)
    (tmp_path / "times.txt").write_text("\n".join(map(str, EVERY_2_S)))
    options = [str(tmp_path / "times.txt") if o == "TIMES" else o for o in options]
    done = subprocess.run(
        [sys.executable, "-m", "bolus", "info", str(path), *options],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == code
    assert words in done.stdout + done.stderr


# oddities of JSON files

EPOCH_S = 1_626_436_800.0
OVER_MIDNIGHT = [(86_385.0 + t) % 86_400 for t in EVERY_2_S]


@pytest.mark.parametrize(
    "sidecar",
    [
        {"RepetitionTime": "2.0"},
        {"VolumeTiming": [str(t) for t in EVERY_2_S]},
        {"VolumeTiming": [[t] for t in EVERY_2_S]},
        {"VolumeTiming": None, "RepetitionTime": 2.0},
        {"VolumeTiming": [EPOCH_S + t for t in EVERY_2_S]},
        {"FrameTimesStart": [EPOCH_S + t for t in EVERY_2_S]},
        {"VolumeTiming": OVER_MIDNIGHT},
        {"RepetitionTime": 0.002, "FrameDuration": 2.0},
        {"RepetitionTime": 0, "FrameDuration": 2.0},
    ],
    ids=["text", "texts", "lists", "null", "epoch", "epoch starts", "midnight", "0.002", "0"],
)
def test_odd_json_files_are_read_as_they_are_meant(tmp_path, sidecar):
    found = read_exam(save_nifti(tmp_path, sidecar=sidecar, step_s=0))
    assert np.allclose(found.times_s[:, 0], EVERY_2_S)
    passed_over = "FrameDuration" in sidecar
    assert ("clocks-disagree" in [f.code for f in found.findings]) == passed_over


@pytest.mark.parametrize(
    "sidecar", [{"VolumeTiming": [0, "x"]}, {"VolumeTiming": EVERY_2_S[:-1]}], ids=["x", "19"]
)
def test_a_json_file_that_is_no_use_names_the_option(tmp_path, sidecar):
    with pytest.raises(MissingTiming, match=r"VolumeTiming.*--times"):
        read_exam(save_nifti(tmp_path, sidecar=sidecar))


def test_given_times_keep_what_is_known_of_the_times_of_slices(tmp_path):
    sidecar = {"ConversionSoftware": "dcm2niix"}
    found = bolus.read_exam(save_nifti(tmp_path, sidecar=sidecar, step_s=0), interval_s=2)
    assert finding(found, "slice-times-lost").grade == Grade.NOTE
    sidecar = {"SliceTiming": [0, 300, 900]}
    found = bolus.read_exam(save_nifti(tmp_path, sidecar=sidecar, step_s=0), interval_s=2)
    assert finding(found, "timing-unit").grade == Grade.WARNING


def test_the_description_names_what_gave_the_times(tmp_path):
    path = save_nifti(tmp_path, sidecar={"RepetitionTime": 0, "FrameDuration": 2.2})
    assert bolus.describe(path).clock == "FrameDuration in the JSON file"
    assert bolus.describe(path, interval_s=2).clock == "the user"
    assert bolus.describe(save_nifti(tmp_path / "b", sidecar=None)).clock == "the NIfTI header"
    volume = truth().transpose(3, 2, 1, 0)[..., 0]
    for t in range(FRAMES):
        sidecar = {"TriggerDelayTime": 2000.0 * t}
        save_nifti(tmp_path / "c", volume, sidecar=sidecar, name=f"v{t:02d}.nii")
    assert bolus.describe(tmp_path / "c").clock == "TriggerDelayTime in the JSON files"
