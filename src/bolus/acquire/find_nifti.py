"""NIfTI files next to DICOM files, which may or may not be the exam."""

from __future__ import annotations

import warnings
from pathlib import Path

from bolus.acquire.dicom.scan import read_images
from bolus.acquire.dicom.source_images import CT_CLASSES
from bolus.acquire.nifti import has_time_course, is_nifti, is_nifti_name
from bolus.acquire.sources import Files
from bolus.errors import AmbiguousExam, DamagedFile


def find_nifti(files: Files, path: Path) -> Path | None:
    """The only NIfTI file directly in a folder, if the folder holds no CT images in DICOM.

    Raises
    ------
    AmbiguousExam
        If the folder holds several NIfTI files, or both CT images and a NIfTI with a time course.
    """
    niftis = [s for s in files.sources if is_nifti_name(s.name)]
    if not niftis or not path.is_dir():
        return None
    if _holds_ct(files):
        timed = [s.name for s in niftis if has_time_course(s)]
        if timed:
            raise AmbiguousExam(
                f"{path}: holds CT images in DICOM and a time course in NIfTI ({timed[0]}); give "
                "the NIfTI file itself, or move it out of the folder to use the DICOM files."
            )
        return None
    inside = sorted(p for p in path.iterdir() if is_nifti(p) and p.is_file())
    if len(inside) > 1:
        raise AmbiguousExam(
            f"{path}: holds {len(inside)} NIfTI files ({inside[0].name}, {inside[1].name}...); "
            "name the one with the time course."
        )
    return inside[0] if inside else None


def _holds_ct(files: Files) -> bool:
    """Whether any file is a CT image; most often the first one is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of pydicom, see read_slices
        for source in files.sources:
            if is_nifti_name(source.name):
                continue
            try:
                images = read_images(source) or []
            except DamagedFile:
                continue
            if any(s.sop_class in CT_CLASSES or s.modality == "CT" for s in images):
                return True
    return False
