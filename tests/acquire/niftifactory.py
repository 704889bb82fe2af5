"""Small 4D NIfTI exams with known content."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from dicomfactory import DISTANCE_MM, FRAMES, ORIGIN, SPACING_MM, STEP_S, truth
from numpy.typing import NDArray

AFFINE_RAS = np.array(
    [
        [-SPACING_MM, 0, 0, -ORIGIN[0]],
        [0, -SPACING_MM, 0, -ORIGIN[1]],
        [0, 0, DISTANCE_MM, ORIGIN[2]],
        [0, 0, 0, 1],
    ]
)
"""Of the DICOM factory's exam, with columns and rows stored as in its images."""
VOLUME_TIMING = {"VolumeTiming": [round(STEP_S * t, 3) for t in range(FRAMES)]}


def save_nifti(
    folder: Path,
    data: NDArray[Any] | None = None,
    affine: NDArray[np.float64] = AFFINE_RAS,
    sidecar: dict[str, Any] | str | None = VOLUME_TIMING,  # type: ignore[assignment]
    name: str = "head.nii.gz",
    step_s: float = STEP_S,
    codes: tuple[int, int] = (1, 1),
) -> Path:
    """Write the exam (x, y, z, t) and its JSON file; returns the image's path."""
    folder.mkdir(parents=True, exist_ok=True)
    data = truth().transpose(3, 2, 1, 0) if data is None else data
    # with an affine nibabel would write an sform that is known
    image = nibabel.Nifti1Image(data, None if codes == (0, 0) else affine)
    image.header.set_xyzt_units("mm", "sec")
    if codes == (0, 0):
        image.header["pixdim"][1:4] = SPACING_MM, SPACING_MM, DISTANCE_MM
    else:
        image.header.set_sform(affine, code=codes[0])
        image.header.set_qform(affine, code=codes[1])
    if data.ndim > 3:
        image.header["pixdim"][4] = step_s
    path = folder / name
    nibabel.save(image, path)
    if sidecar is not None:
        text = sidecar if isinstance(sidecar, str) else json.dumps(sidecar)
        (folder / name.replace(".nii.gz", ".json").replace(".nii", ".json")).write_text(text)
    return path
