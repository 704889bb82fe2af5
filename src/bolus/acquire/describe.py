"""``describe``: what is in an exam, without decoding a pixel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bolus.acquire.dicom.scan import read_slices
from bolus.acquire.dicom.select import scan_keys
from bolus.acquire.dicom.series_table import series_table
from bolus.acquire.dicom.source_images import why_not_source
from bolus.acquire.dicom.timing import without_midnight
from bolus.acquire.exam import lay_out_scan, select_scan
from bolus.acquire.find_nifti import find_nifti
from bolus.acquire.given_times import GivenTimes
from bolus.acquire.nifti import is_nifti_file, open_nifti
from bolus.acquire.nifti_exam import NiftiExam
from bolus.acquire.sources import Files, open_files
from bolus.errors import BolusError, NoReadableFiles
from bolus.series import Series
from bolus.types import Finding, Float64Array, Geometry, Scanner


@dataclass(frozen=True)
class SliceTimes:
    """The time axis of one slice, s after the earliest image of the exam."""

    slice: int
    first_s: float
    last_s: float
    dt_median_s: float
    dt_min_s: float
    dt_max_s: float


@dataclass(frozen=True)
class Description:
    """What is in an exam."""

    path: str
    series: tuple[Series, ...] = ()
    """Empty for NIfTI."""
    frames: int = 0
    geometry: Geometry | None = None
    slice_times: tuple[SliceTimes, ...] = ()
    clock: str = ""
    """Source of the times."""
    scanner: Scanner | None = None
    findings: tuple[Finding, ...] = ()
    error: BolusError | None = None
    """Why the exam can't be used; None if it can, as far as its headers show."""

    @property
    def usable(self) -> bool:
        """Whether maps can be computed, as far as the headers show."""
        return self.error is None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        place = self.geometry
        return {
            "path": self.path,
            "usable": self.usable,
            "error": None
            if self.error is None
            else {
                "type": type(self.error).__name__,
                "message": str(self.error),
                "exit_code": self.error.exit_code,
            },
            "series": [asdict(series) for series in self.series],
            "frames": self.frames,
            "geometry": None
            if place is None
            else {
                "slices": place.shape[0],
                "rows": place.shape[1],
                "columns": place.shape[2],
                "spacing_mm": list(place.spacing_mm),
                "affine_zyx_to_lps_mm": place.affine.tolist(),
            },
            "clock": self.clock,
            "slice_times": [asdict(times) for times in self.slice_times],
            "scanner": None if self.scanner is None else asdict(self.scanner),
            "findings": [
                {**asdict(finding), "grade": finding.grade.name} for finding in self.findings
            ],
        }


def describe(
    path: Path,
    *,
    series: str | None = None,
    given: GivenTimes | None = None,
    seen: Callable[[int, int], None] | None = None,
) -> Description:
    """Describe an exam: series, geometry, frames, times of each slice, scanner, problems.

    Parameters
    ----------
    path, series, given
        As for ``read_exam``.
    seen
        Called with the number of files read and of all, now and then.

    Returns
    -------
    Description
        With ``error`` set where ``read_exam`` would refuse the exam before decoding it.

    Raises
    ------
    NoReadableFiles
        If there is nothing to describe.
    """
    try:
        if is_nifti_file(path):
            return _nifti(path, path, given)
        with open_files(path) as files:
            nifti = find_nifti(files, path)
            if nifti:
                return _nifti(nifti, path, given)
            return _dicom(files, path, series, given, seen)
    except NoReadableFiles:
        raise
    except BolusError as error:
        return Description(str(path), error=error)


def _nifti(exam: Path | NiftiExam, path: Path, given: GivenTimes | None) -> Description:
    volume = open_nifti(exam, given)
    return Description(
        path=str(path),
        frames=volume.frames,
        geometry=volume.geometry,
        slice_times=_slice_times(volume.times_s),
        clock=volume.clock,
        scanner=volume.scanner,
        findings=volume.findings,
    )


def _dicom(
    files: Files,
    path: Path,
    series: str | None,
    given: GivenTimes | None,
    seen: Callable[[int, int], None] | None,
) -> Description:
    slices, unread = read_slices(files, path, seen)
    try:
        selection = select_scan(slices, path, series)
    except BolusError as error:
        whys = {image.series: why_not_source(image) for image in slices}
        table = series_table(slices, whys, scan_keys(without_midnight(slices)))
        return Description(str(path), table, findings=tuple(unread), error=error)
    table = series_table(slices, selection.verdicts, selection.keys)
    findings = (*unread, *selection.findings)
    try:
        layout = lay_out_scan(selection, path, given=given)
    except BolusError as error:
        return Description(str(path), table, findings=findings, error=error)
    return Description(
        path=str(path),
        series=table,
        frames=len(layout.image),
        geometry=layout.geometry,
        slice_times=_slice_times(layout.times_s),
        clock=layout.clock,
        scanner=layout.scanner,
        findings=(*findings, *layout.findings),
    )


def _slice_times(times_s: Float64Array) -> tuple[SliceTimes, ...]:
    # microseconds: smaller digits are rounding errors
    steps = np.round(np.diff(times_s, axis=0), 6)
    return tuple(
        SliceTimes(
            slice=k,
            first_s=float(times_s[0, k]),
            last_s=float(times_s[-1, k]),
            dt_median_s=float(np.median(steps[:, k])),
            dt_min_s=float(steps[:, k].min()),
            dt_max_s=float(steps[:, k].max()),
        )
        for k in range(times_s.shape[1])
    )
