"""The anatomy's source: ICBM 152 tissue maps (2009a, symmetric), shipped by nilearn.

Fonov et al., NeuroImage 54 (2011) 313, doi:10.1016/j.neuroimage.2010.07.033.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import nibabel as nib
import numpy as np
from numpy.typing import NDArray

from bolus.errors import UsageError

ORIGIN_MM = (-72.0, -134.0, -98.0)
"""Atlas coordinates (MNI, RAS) of voxel (0, 0, 0) in order z, y, x; 1 mm per voxel."""


@dataclass(frozen=True)
class Atlas:
    """(189, 233, 197) uint8 each, indices z, y, x upwards, forwards and to the right, 1 mm."""

    gm: NDArray[np.uint8]
    wm: NDArray[np.uint8]
    t1: NDArray[np.uint8]


def _folder() -> Path:
    """Folder of nilearn's data; nilearn itself isn't imported, which would take seconds."""
    spec = find_spec("nilearn")
    if spec is None or spec.origin is None:
        raise UsageError(
            "The built-in exam needs the brain atlas that comes with nilearn: "
            "pip install 'bolus[demo]'"
        )
    return Path(spec.origin).parent / "datasets" / "data"


@cache
def load_atlas() -> Atlas:
    """Read the tissue maps from the installed nilearn package.

    Raises
    ------
    UsageError
        nilearn isn't installed, or comes without the maps.
    """
    maps = []
    for name in ("gm", "wm", "t1"):
        path = _folder() / f"mni_icbm152_{name}_tal_nlin_sym_09a_converted.nii.gz"
        if not path.is_file():
            raise UsageError(
                f"The installed nilearn has no {path.name}: pip install --upgrade 'bolus[demo]'"
            )
        image = nib.load(path)
        maps.append(np.ascontiguousarray(np.asarray(image.dataobj).T))  # type: ignore[attr-defined]
    return Atlas(*maps)
