"""What each DICOM series of an exam's folder was taken for."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Series:
    """A DICOM series that lies in the exam's folder, and what it was taken for."""

    number: str
    uid: str
    modality: str
    image_type: str
    files: int
    images: int
    slices: int
    """Distinct positions."""
    frames: int
    """Images per position."""
    duration_s: float
    """From its first to its last image; 0 where its images have no times."""
    taken_for: str
    """In the words of the field: "perfusion scan", "localizer", "bolus tracking"..."""
    verdict: str
    """"used", or why not; empty where the choice failed."""
    key: str = ""
    """What ``--series`` takes to choose the scan it belongs to; empty where it is none."""
