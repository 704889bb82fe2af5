"""A NIfTI exam (RAS, x y z t) to frames (t, z, y, x) and an LPS affine.

Rows and columns keep the order of the file; slices ascend towards the head, as for DICOM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bolus.acquire.bids_sidecar import listed_frames, scanner, slice_axis
from bolus.acquire.checks import LARGEST_HU, check_times
from bolus.acquire.dicom.pixels import AIR_HU
from bolus.acquire.geometry_limits import check_geometry
from bolus.acquire.given_times import GivenTimes
from bolus.acquire.memory import COPIES_NIFTI, MAX_FRAMES_BYTES, check_memory
from bolus.acquire.nifti_affine import (
    affine_findings,
    affine_lps,
    geometry,
    is_flipped,
    voxel_axes,
)
from bolus.acquire.nifti_axes import (
    FLAT,
    FileAxes,
    file_axes,
    neighbour_difference,
    with_time_axis,
)
from bolus.acquire.nifti_exam import NiftiExam, NiftiFile, is_nifti, named_exam
from bolus.acquire.nifti_times import SECONDS, HeaderStep, frame_times, volume_times
from bolus.errors import BadGeometry, BolusError, DamagedFile, NoReadableFiles, TooFewFrames
from bolus.files.nifti_file import INTERCEPT_LACKS, nifti_image, whole_values
from bolus.types import Finding, Float32Array, Float64Array, Geometry, Grade, Scanner

SAME_PLACE_MM = 0.01
"""Headers of one exam round its positions to about 1e-4 mm."""


@dataclass(frozen=True)
class Volume4D:
    """The headers of a NIfTI exam, turned to our conventions."""

    files: tuple[NiftiFile, ...]
    """One with all frames, or one for each frame in the order of time."""
    file_axes: FileAxes
    """How the axes of each file are used."""
    axes: tuple[int, int, int]
    """Which of the affine's columns are our z, y and x."""
    flipped: bool
    """Whether the slices are reversed to ascend."""
    times_s: Float64Array
    geometry: Geometry
    scanner: Scanner
    clock: str
    """What gave the times."""
    findings: tuple[Finding, ...]

    @property
    def frames(self) -> int:
        """Number of frames, T."""
        return len(self.times_s)


@dataclass(frozen=True)
class _Header:
    """Of one file."""

    axes: FileAxes
    lps: Float64Array
    fields: dict[str, Any]
    step: HeaderStep
    findings: tuple[Finding, ...]


def is_nifti_file(path: Path) -> bool:
    """Whether the path is that of a NIfTI file; False if it can't be accessed."""
    try:
        return is_nifti(path) and path.is_file()
    except (OSError, ValueError):  # a closed folder, names that are too long or hold a NUL
        return False


def open_nifti(exam: Path | NiftiExam, given: GivenTimes | None = None) -> Volume4D:
    """Read and check the headers, the affine and the times.

    Parameters
    ----------
    exam
        A file with a time course, or the files that `find_nifti` found.
    given
        What the user says about the times.

    Raises
    ------
    DamagedFile
        If it is not a NIfTI file, or its JSON file is damaged.
    NotCT
        If its JSON file gives another modality.
    TooFewFrames
        If it is 3D, or has fewer than 8 frames.
    BadGeometry
        If it has five dimensions or no usable affine, or files of single frames differ in that.
    TooLarge
        If processing it needs more memory than there is.
    MissingTiming
        If the times of the frames are unknown or impossible.
    AmbiguousExam
        If nothing says which axis is time.
    """
    found = named_exam(exam) if isinstance(exam, Path) else exam
    if len(found.files) == 1:
        return _single(found, given)
    return _of_volumes(found, given)


def _single(exam: NiftiExam, given: GivenTimes | None) -> Volume4D:
    (file,) = exam.files
    header = _header(file, given, lenient=given is not None)
    name = file.name
    if header.axes.time is None:
        raise TooFewFrames(
            f"{name}: has {len(header.axes.shape)} dimensions; a time course needs four. If it is "
            "one time point of many, name the folder that holds them all."
        )
    z, _, _ = voxel_axes(header.lps, slice_axis(header.fields))
    slices = header.axes.grid[z]
    times_s, timing, clock = frame_times(
        header.fields, header.axes.frames, slices, header.step, name, given
    )
    return _volume(exam, header, times_s, timing, clock)


def _of_volumes(exam: NiftiExam, given: GivenTimes | None) -> Volume4D:
    """An exam with one file for each time point."""
    headers = [_header(file, None, lenient=given is not None) for file in exam.files]
    first = headers[0]
    for file, header in zip(exam.files, headers, strict=True):
        if header.axes.grid != first.axes.grid:
            what = f"the shape {header.axes.grid}, not {first.axes.grid}"
        elif np.abs(header.lps - first.lps).max() > SAME_PLACE_MM:
            what = "another place (affine)"
        else:
            continue
        raise BadGeometry(
            f"{file.name}: has {what} as {exam.name}, the first of {len(exam.files)} files with "
            "one time point each; take it out of the folder or convert it again."
        )
    z, _, _ = voxel_axes(first.lps, slice_axis(first.fields))
    order, times_s, timing, clock = volume_times(
        [header.fields for header in headers],
        [file.name for file in exam.files],
        first.axes.grid[z],
        first.step,
        given,
        doubt=exam.order,
    )
    ordered = replace(exam, files=tuple(exam.files[int(k)] for k in order))
    # one of each code, the first file's where it has one
    findings = {f.code: f for header in reversed(headers) for f in header.findings}
    first = replace(first, findings=tuple(findings.values()))
    return _volume(ordered, first, times_s, timing, clock)


def _volume(
    exam: NiftiExam, header: _Header, times_s: Float64Array, timing: list[Finding], clock: str
) -> Volume4D:
    axes = voxel_axes(header.lps, slice_axis(header.fields))
    x, y, z = header.axes.grid
    check_memory(z * len(times_s), y, x, exam.name, COPIES_NIFTI)
    flipped = is_flipped(header.lps, axes)
    times_s = times_s[:, ::-1] if flipped else times_s
    grid = geometry(header.lps, axes, flipped, header.axes.grid)
    check_geometry(grid, exam.name)
    return Volume4D(
        files=exam.files,
        file_axes=header.axes,
        axes=axes,
        flipped=flipped,
        times_s=np.round(np.ascontiguousarray(times_s - times_s.min()), 6),
        geometry=grid,
        scanner=scanner(header.fields, exam.name),
        clock=clock,
        findings=(
            *exam.findings,
            *timing,
            *check_times(times_s, exam.name),
            *header.findings,
        ),
    )


def _header(file: NiftiFile, given: GivenTimes | None, *, lenient: bool) -> _Header:
    with _image(file) as image:
        axes = file_axes(tuple(int(n) for n in image.shape), file.name)
        if image.get_data_dtype().kind not in "iuf":
            raise DamagedFile(f"{file.name}: holds {image.get_data_dtype()} and not plain numbers.")
        if axes.time is not None:
            # before any pixel is looked at
            x, y, z, t = axes.shape
            check_memory(z * t, y, x, file.name, COPIES_NIFTI)
        fields, faults = _fields(file, lenient=lenient)
        lps = affine_lps(image, file.name)
        listed = listed_frames(fields)
        if given is not None and given.times_s is not None:
            listed = len(given.times_s)
        axes, moved = with_time_axis(
            axes,
            listed,
            lambda other: _fits(lps, other, slice_axis(fields)),
            lambda: _unlikeness(image, axes),
            file.name,
        )
        step = _step(image.header, axes)
        return _Header(
            axes, lps, fields, step, (*faults, *_scale(image), *moved, *affine_findings(image))
        )


def _fields(file: NiftiFile, *, lenient: bool) -> tuple[dict[str, Any], list[Finding]]:
    """Of its JSON files; with the user's times a damaged one is ignored, and that is said."""
    try:
        return file.fields(), []
    except DamagedFile as error:
        if not lenient:
            raise
        message = f"{error} It was ignored, as the user gave the times."
        return {}, [Finding("json-ignored", Grade.WARNING, message, "Correct the JSON file.")]


def _scale(image: Any) -> list[Finding]:
    if INTERCEPT_LACKS not in image.extra:
        return []
    message = "The NIfTI header's intercept (scl_inter) is no number and was taken as 0."
    return [Finding("scale-repaired", Grade.WARNING, message, "Convert the exam again.")]


def _fits(lps: Float64Array, axes: FileAxes, of_timing: int | None) -> bool:
    """Whether the affine makes a head of such axes."""
    order = voxel_axes(lps, of_timing)
    try:
        check_geometry(geometry(lps, order, is_flipped(lps, order), axes.grid), "")
    except BadGeometry:
        return False
    return True


def _unlikeness(image: Any, axes: FileAxes) -> Float64Array:
    """Difference of neighbours along each axis, HU, in as few of the file's values as do."""
    last = axes.shape[3]
    found = np.zeros(4)
    for first in (0, last // 2):
        part = axes.part(len(image.shape), slice(first, first + 2), 3)
        values = np.asarray(image.dataobj[part], dtype=np.float32)
        found = neighbour_difference(values.reshape(*axes.shape[:3], -1))
        if found[np.isfinite(found)].max(initial=0.0) > FLAT:
            break
    return found


def _step(header: Any, axes: FileAxes) -> HeaderStep:
    """The step along time where its field is not one of space."""
    unit_s = SECONDS.get(int(header["xyzt_units"]) & 0x38)
    if axes.time is None:
        value = float(header["pixdim"][4])
        value = 0.0 if value == 1.0 else value  # of an axis that the file doesn't have
    elif axes.kept[axes.time] < 3:
        value = 0.0
    else:
        value = float(header["pixdim"][axes.kept[axes.time] + 1])
        if value in (0.0, 1.0) and float(header["pixdim"][4]) not in (0.0, 1.0):
            value = float(header["pixdim"][4])
    return HeaderStep(value, unit_s)


@contextmanager
def _image(file: NiftiFile) -> Iterator[Any]:
    """The file as nibabel's image; what is wrong with its bytes ends in DamagedFile."""
    try:
        with nifti_image(file.open(), 2 * MAX_FRAMES_BYTES) as image:
            yield image
    except BolusError:
        raise
    except PermissionError as error:
        raise NoReadableFiles(f"{file.name}: access is denied ({error.strerror}).") from error
    except Exception as error:  # nibabel, gzip and zlib raise a dozen types on damaged bytes
        raise DamagedFile(
            f"{file.name}: not a readable NIfTI ({error or type(error).__name__}); copy it again."
        ) from error


def read_nifti_frames(volume: Volume4D) -> tuple[Float32Array, list[Finding]]:
    """The intensities.

    Returns
    -------
    (T, Z, Y, X) float32, HU, at least -1024; NaN, infinite and hugely negative values become air

    Raises
    ------
    DamagedFile
        If the data are cut off or damaged.
    """
    if len(volume.files) == 1:
        frames = np.ascontiguousarray(_turned(_values(volume, volume.files[0]), volume))
    else:
        frames = np.empty((volume.frames, *volume.geometry.shape), dtype=np.float32)
        for frame, file in zip(frames, volume.files, strict=True):
            frame[:] = _turned(_values(volume, file), volume)[0]
    # huge values are left to the check of all values, which refuses them
    meant = np.isfinite(frames) & (frames >= np.float32(-LARGEST_HU))
    lost = frames.size - int(np.count_nonzero(meant))
    frames[~meant] = AIR_HU
    np.maximum(frames, np.float32(AIR_HU), out=frames)
    if not lost:
        return frames, []
    message = (
        f"{lost / frames.size:.2%} of the values are not CT values (NaN) and were treated as air."
    )
    return frames, [Finding("values-missing", Grade.WARNING, message, "Convert the exam again.")]


def _values(volume: Volume4D, file: NiftiFile) -> NDArray[np.float32]:
    """(T, x, y, z) of one file."""
    with _image(file) as image:
        values: NDArray[np.float32] = whole_values(image, np.float32)
        return volume.file_axes.stack(values)


def _turned(stack: NDArray[np.float32], volume: Volume4D) -> NDArray[np.float32]:
    """(T, x, y, z) as (T, z, y, x), slices ascending."""
    turned: NDArray[np.float32] = stack.transpose(0, *(axis + 1 for axis in volume.axes))
    return turned[:, ::-1] if volume.flipped else turned


def read_first_frame(volume: Volume4D) -> Float32Array:
    """The first frame as it is stored, (Z, Y, X) float32; DamagedFile as `read_nifti_frames`.

    The rest of the file is not read.
    """
    axes = volume.file_axes
    with _image(volume.files[0]) as image:
        index: tuple[slice, ...] = (slice(None),) * len(image.shape)
        if axes.time is not None:
            index = axes.part(len(image.shape), slice(0, 1), axes.time)
            lengths = [*axes.shape]
            lengths[axes.time] = 1
            axes = replace(axes, shape=tuple(lengths))
        stack = axes.stack(np.asarray(image.dataobj[index], dtype=np.float32))
    first: Float32Array = _turned(stack, volume)[0]
    return first
