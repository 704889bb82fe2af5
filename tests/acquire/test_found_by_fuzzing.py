"""Faults that hostile inputs of ``tests/fuzz`` found, each as its smallest example."""

from __future__ import annotations

from pathlib import Path

import pytest
from dicomfactory import exam, save
from niftifactory import save_nifti

from bolus.acquire import read_exam
from bolus.errors import BolusError, DamagedFile

PATIENT = "FACTORY^HEAD"


def test_words_of_libraries_stand_in_one_line(tmp_path: Path) -> None:
    path = save_nifti(tmp_path, name="head.nii")
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(DamagedFile, match=r"head\.nii: is no readable NIfTI") as caught:
        read_exam(path)
    assert str(caught.value).isprintable()


def test_names_of_files_and_series_in_messages_command_no_terminal(tmp_path: Path) -> None:
    with pytest.raises(BolusError, match=r"no series \?\[2J;") as caught:
        read_exam(save(tmp_path / "ex\x1bam", exam()), series="\x1b[2J")
    assert str(caught.value).isprintable()
