"""Text that others wrote into an exam commands no terminal and breaks no file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from dicomfactory import enhanced, exam, save
from hypothesis import given
from hypothesis import strategies as st
from niftifactory import VOLUME_TIMING, save_nifti

from bolus.acquire.exam import read_exam
from bolus.plain_text import printable

CLEAR_SCREEN = "\x1b[2J"


@given(st.text())
def test_what_is_printable_stays_and_the_rest_is_one_question_mark_each(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) == len(text)
    assert all(new in (old, "?") for new, old in zip(shown, text, strict=True))
    shown.encode("utf-8")


@pytest.mark.parametrize("kind", ["classic", "enhanced"])
def test_escape_codes_of_headers_reach_no_terminal(kind: str, tmp_path: Path) -> None:
    images = exam() if kind == "classic" else [enhanced()]
    for one in images:
        one.Manufacturer = f"ACME{CLEAR_SCREEN}"
        one.ManufacturerModelName = "\x9b31mRED"
        if kind == "classic":
            one.ConvolutionKernel = f"H{CLEAR_SCREEN}"
        else:
            shared = one.SharedFunctionalGroupsSequence[0]
            shared.CTReconstructionSequence[0].ConvolutionKernel = f"H{CLEAR_SCREEN}"
    save(tmp_path, images)
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "bolus", "info", str(tmp_path)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "ACME?[2J, ?31mRED, H?[2J" in shown.stdout
    assert all(line.isprintable() for line in (shown.stdout + shown.stderr).splitlines())


def test_escape_codes_of_paths_reach_no_terminal(tmp_path: Path) -> None:
    shown = subprocess.run(
        [sys.executable, "-P", "-m", "bolus", "info", str(tmp_path / CLEAR_SCREEN)],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert shown.returncode == 3
    assert "\x1b" not in shown.stderr


def test_a_lone_surrogate_of_a_sidecar_can_be_written(tmp_path: Path) -> None:
    sidecar = '{"Manufacturer": "A\\ud800B", ' + str(VOLUME_TIMING).replace("'", '"')[1:]
    scanner = read_exam(save_nifti(tmp_path, sidecar=sidecar)).scanner
    assert scanner.manufacturer == "A?B"
    scanner.manufacturer.encode("utf-8")
