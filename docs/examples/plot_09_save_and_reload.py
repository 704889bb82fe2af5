"""
Save, reload, plot
==================

Results on disk are the same files that the command line writes; any tool reads the maps as NIfTI.
"""

# %%
# ``save`` writes the report, ``summary.json``, the maps and the curves into a folder, whole or
# not at all.
import json
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import nibabel
import numpy as np

import bolus

recipe = bolus.Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
exam, _ = bolus.simulate_exam(1, recipe)
folder = Path(tempfile.mkdtemp()) / "OUT"
bolus.run(exam, methods="nlr").save(folder)
print(*sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()), sep="\n")

# %%
# Later, or in another program: with bolus, with nibabel, or with nothing but JSON.
again = bolus.load_results(folder)
image = nibabel.load(folder / "nlr" / "tmax.nii.gz")
summary = json.loads((folder / "summary.json").read_text())
print(again)
print(summary["verdict"]["text"], summary["methods"]["nlr"]["lesion"]["core_ml"], "ml core")

# %%
# bolus's arrays are (z, y, x) in LPS; nibabel's are (x, y, z), and the affine of NIfTI is RAS.
# The values are the same: left and right are never swapped by hand.
tmax = again["nlr"].tmax
assert np.array_equal(np.transpose(image.get_fdata(dtype=np.float32)), tmax)
affine = again["nlr"].to_nifti("tmax").affine
spacing = nibabel.affines.voxel_sizes(affine)
figure, axes = plt.subplots(1, 6, figsize=(9.5, 2.4), layout="constrained")
for z, axis in enumerate(axes):
    shown = np.ma.masked_equal(tmax[z], 0)
    picture = axis.imshow(shown, vmin=0, vmax=12, cmap="viridis", aspect=spacing[1] / spacing[0])
    height = (affine @ (0, 0, z, 1))[2]
    axis.set(title=f"z {height:.0f} mm", xticks=[], yticks=[])
figure.colorbar(picture, ax=axes, label="Tmax, s")
plt.show()
