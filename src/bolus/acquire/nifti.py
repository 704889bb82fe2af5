"""A 4D NIfTI (RAS, x y z t) to frames (t, z, y, x) and an LPS affine.

Rows and columns keep the order of the file; slices ascend towards the head, as for DICOM.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bolus.acquire.bids_sidecar import frame_times, read_sidecar, scanner, slice_axis
from bolus.acquire.checks import LARGEST_HU, check_times
from bolus.acquire.dicom.elements import LARGEST
from bolus.acquire.dicom.pixels import AIR_HU
from bolus.acquire.geometry_limits import check_geometry
from bolus.acquire.memory import COPIES_NIFTI, MAX_FRAMES_BYTES, check_memory
from bolus.acquire.sources import Source
from bolus.axes import to_lps
from bolus.errors import BadGeometry, BolusError, DamagedFile, NoReadableFiles, TooFewFrames
from bolus.files.nifti_file import nifti_image, whole_values
from bolus.types import Finding, Float32Array, Float64Array, Geometry, Grade, Scanner

SECONDS = {8: 1.0, 16: 1e-3, 24: 1e-6}
"""NIfTI's xyzt_units for time: s, ms, us; unknown counts as s."""
SMALLEST_MM3 = 1e-6
AFFINE_TOLERANCE_MM = 0.5


@dataclass(frozen=True)
class Volume4D:
    """The header of a 4D NIfTI, turned to our conventions."""

    axes: tuple[int, int, int]
    """Voxel axes of the file that are our z, y and x."""
    flipped: bool
    """Whether the slices are reversed to ascend."""
    times_s: Float64Array
    geometry: Geometry
    scanner: Scanner
    findings: tuple[Finding, ...]

    @property
    def frames(self) -> int:
        """Number of frames, T."""
        return len(self.times_s)


def is_nifti(path: Path) -> bool:
    """Whether the name is that of a NIfTI file."""
    return is_nifti_name(path.name)


def is_nifti_file(path: Path) -> bool:
    """Whether the path is that of a NIfTI file; False if it can't be accessed."""
    try:
        return is_nifti(path) and path.is_file()
    except (OSError, ValueError):  # a closed folder, names that are too long or hold a NUL
        return False


def is_nifti_name(name: str) -> bool:
    """Whether the name of a file, with or without its folders, is that of a NIfTI file."""
    return name.lower().endswith((".nii", ".nii.gz"))


def has_time_course(source: Source) -> bool:
    """Whether a NIfTI file's header gives it more than one volume; not if it can't be read."""
    try:
        with source.open() as stream, nifti_image(stream, 2 * MAX_FRAMES_BYTES) as image:
            shape = image.shape
    except Exception:  # see _image
        return False
    return len(shape) > 3 and shape[3] > 1


def open_nifti(path: Path) -> Volume4D:
    """Read and check the header, the affine and the times.

    Raises
    ------
    DamagedFile
        If it is not a NIfTI file, or its JSON file is damaged.
    TooFewFrames
        If it is 3D, or has fewer than 8 frames.
    BadGeometry
        If it has five dimensions or no usable affine.
    TooLarge
        If processing it needs more memory than there is.
    MissingTiming
        If the times of the frames are unknown or impossible.
    """
    with _image(path) as image:
        return _described(image, path)


def _described(image: Any, path: Path) -> Volume4D:
    shape = tuple(int(n) for n in image.shape)
    while len(shape) > 4 and shape[-1] == 1:
        shape = shape[:-1]
    if len(shape) < 4:
        raise TooFewFrames(f"{path.name}: has {len(shape)} dimensions; a time course needs four.")
    if len(shape) > 4 or min(shape) < 1:
        raise BadGeometry(f"{path.name}: has the shape {shape}; x, y, z and time are needed.")
    x, y, z, t = shape
    check_memory(z * t, y, x, path.name, COPIES_NIFTI)
    if image.get_data_dtype().kind not in "iuf":
        raise DamagedFile(f"{path.name}: holds {image.get_data_dtype()} and not plain numbers.")
    fields = read_sidecar(path)
    lps = _affine_lps(image, path)
    axes = _axes(lps, slice_axis(fields))
    flipped = bool(lps[np.argmax(np.abs(lps[:3, axes[0]])), axes[0]] < 0)
    step_s = float(image.header["pixdim"][4]) * _time_unit(image.header)
    times_s, timing = frame_times(fields, shape[3], shape[axes[0]], step_s, path.name)
    times_s = times_s[:, ::-1] if flipped else times_s
    geometry = _geometry(lps, axes, flipped, shape)
    check_geometry(geometry, path.name)
    return Volume4D(
        axes=axes,
        flipped=flipped,
        times_s=np.round(np.ascontiguousarray(times_s - times_s.min()), 6),
        geometry=geometry,
        scanner=scanner(fields),
        findings=(*timing, *check_times(times_s, path.name), *_affine_findings(image)),
    )


@contextmanager
def _image(path: Path) -> Iterator[Any]:
    """The file as nibabel's image; what is wrong with its bytes ends in DamagedFile."""
    try:
        with nifti_image(path, 2 * MAX_FRAMES_BYTES) as image:
            yield image
    except BolusError:
        raise
    except PermissionError as error:
        raise NoReadableFiles(f"{path}: access is denied ({error.strerror}).") from error
    except Exception as error:  # nibabel, gzip and zlib raise a dozen types on damaged bytes
        raise DamagedFile(
            f"{path.name}: not a readable NIfTI ({error or type(error).__name__}); copy it again."
        ) from error


def _affine_lps(image: Any, path: Path) -> Float64Array:
    """(4, 4) from the file's voxels to LPS mm."""
    ras = np.asarray(image.affine, dtype=np.float64)
    if not np.abs(ras).max() < LARGEST:  # NaN is not smaller either
        raise BadGeometry(
            f"{path.name}: its affine holds invalid numbers (NaN, infinite or larger than "
            f"{LARGEST:g}), so positions in the head are unknown; convert the exam again."
        )
    lps = to_lps(ras)
    if abs(np.linalg.det(lps[:3, :3])) < SMALLEST_MM3:
        raise BadGeometry(
            f"{path.name}: its affine is singular, so positions in the head are unknown."
        )
    return lps


def _time_unit(header: Any) -> float:
    return SECONDS.get(int(header["xyzt_units"]) & 0x38, 1.0)


def _axes(lps: Float64Array, of_timing: int | None) -> tuple[int, int, int]:
    """Voxel axes for z, y and x: slices along the body, columns from side to side."""
    direction = np.abs(lps[:3, :3] / np.linalg.norm(lps[:3, :3], axis=0))
    z = int(np.argmax(direction[2])) if of_timing is None else of_timing
    rest = [axis for axis in range(3) if axis != z]
    x = max(rest, key=lambda axis: (direction[0, axis], -axis))
    y = next(axis for axis in rest if axis != x)
    return z, y, x


def _geometry(
    lps: Float64Array, axes: tuple[int, int, int], flipped: bool, shape: tuple[int, ...]
) -> Geometry:
    affine = np.eye(4)
    affine[:, :3] = lps[:, axes]
    affine[:, 3] = lps[:, 3]
    if flipped:
        affine[:, 3] += affine[:, 0] * (shape[axes[0]] - 1)
        affine[:, 0] *= -1
    return Geometry((shape[axes[0]], shape[axes[1]], shape[axes[2]]), affine + 0.0)


def _affine_findings(image: Any) -> list[Finding]:
    """Findings that concern which side is left."""
    sform, qform = int(image.header["sform_code"]), int(image.header["qform_code"])
    findings = []
    if sform == 0 and qform == 0:
        findings.append(
            Finding(
                "orientation-unknown",
                Grade.WARNING,
                "The NIfTI header gives no orientation (sform and qform codes are 0): left and "
                "right may be swapped.",
                "Convert the exam from DICOM again, keeping its orientation.",
            )
        )
    elif sform and qform:
        try:
            apart = float(np.abs(image.affine - image.get_qform()).max())
        except Exception:  # a damaged quaternion; the sform is used
            apart = np.inf
        if apart > AFFINE_TOLERANCE_MM:
            message = (
                f"The NIfTI header's two orientations differ by {apart:.1f} mm; sform was used."
            )
            findings.append(Finding("orientations-differ", Grade.WARNING, message))
    if np.array_equal(image.affine, np.eye(4)):
        message = "The NIfTI affine is the identity: size and sides of the head are not known."
        findings.append(Finding("affine-identity", Grade.WARNING, message))
    return findings


def read_nifti_frames(volume: Volume4D, path: Path) -> tuple[Float32Array, list[Finding]]:
    """The intensities.

    Returns
    -------
    (T, Z, Y, X) float32, HU, at least -1024; NaN, infinite and hugely negative values become air

    Raises
    ------
    DamagedFile
        If the data are cut off or damaged.
    """
    with _image(path) as image:
        data = whole_values(image, np.float32)
    data = data.reshape(data.shape[:4]).transpose(3, *volume.axes)
    frames = np.ascontiguousarray(data[:, ::-1] if volume.flipped else data)
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


def read_first_frame(volume: Volume4D, path: Path) -> Float32Array:
    """The first frame as it is stored, (Z, Y, X) float32; DamagedFile as `read_nifti_frames`.

    The rest of the file is not read.
    """
    with _image(path) as image:
        frame = np.asarray(image.dataobj[..., 0], dtype=np.float32)
    stack = frame.reshape(frame.shape[:3]).transpose(volume.axes)
    return stack[::-1] if volume.flipped else stack
