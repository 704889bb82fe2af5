"""mia_processes: the whole of its `Deconv_from_aif` brick, with its defaults.

Three things are set from outside: the curves are given as concentrations (the brick would compute
them from an MR signal), the frame interval is the true one (the brick overrides it by 1.677 s), and
the normalisation of the mean CBV to 5 is off.  The brick knows no kappa/rho, so bolus's is applied.
Tmax is the time of the largest residue sample plus half an interval; CBF is CBV/MTT.
"""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from peers.adapters.stand_in import Host, stand_in

NAME = "mia_processes"
METHODS = {"oSVD": 1000}


def maps(method: str, case: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Maps of the brick, through the files it writes."""
    brick = _brick(float(case["time_s"][1] - case["time_s"][0]))
    curves = case["curves"][None, :, None, :]  # (1, V, 1, N): the brick flips its first axis
    with tempfile.TemporaryDirectory() as folder:
        aif = Path(folder) / "aif.json"
        aif.write_text(json.dumps({"aif": case["aif"].tolist()}))
        brick.aif_file, brick.func_file, brick.mask_file = str(aif), "curves", "mask"
        images = {"curves": curves, "mask": np.ones((curves.shape[1], 1, 1))}
        found = _run(brick, images, Path(folder))
    scale = float(case["scale"]) / 100  # the brick gives ml per 100 ml
    return {**found, "cbf": found["cbf"] * scale, "cbv": found["cbv"] * scale}


def _brick(interval_s: float) -> Any:
    stand_in("populse_mia", "populse_mia.data_manager", "populse_mia.user_interface")
    stand_in("populse_mia.data_manager.data_history_inspect", "populse_mia.data_manager.filter")
    stand_in("populse_mia.data_manager.project", "populse_mia.software_properties")
    stand_in("populse_mia.user_interface.pipeline_manager", "nipype", "nipype.interfaces")
    stand_in("populse_mia.user_interface.pipeline_manager.process_mia", "mia_processes.utils")
    stand_in("nipype.interfaces.base", "nipype.interfaces.spm", "nipype.interfaces.spm.base")
    stand_in("traits", "traits.api")
    sys.modules["populse_mia.user_interface.pipeline_manager.process_mia"].ProcessMIA = Host
    from mia_processes.bricks.tools.tools import Deconv_from_aif

    brick = Deconv_from_aif()
    brick.perf_normalisation = "no_normalisation"
    brick.dict4runtime.update(rep_time=interval_s, echo_time=1.0)
    brick.delta_r2star = lambda volume, te, mask: (volume, np.zeros(mask.shape))
    return brick


def _run(brick: Any, images: Mapping[str, np.ndarray], folder: Path) -> dict[str, np.ndarray]:
    import nibabel

    brick.load_nii = lambda name, *_: (nibabel.Nifti1Header(), images[name])
    files = {name: folder / f"{name}.nii" for name in ("CBV", "CBF", "MTT", "TTP", "Tmax", "T0")}
    for name, path in files.items():
        setattr(brick, f"{name}_image", str(path))
    brick.run_process_mia()
    return {
        name.lower(): nibabel.load(files[name]).get_fdata().ravel()
        for name in ("CBF", "CBV", "MTT", "Tmax")
    }
