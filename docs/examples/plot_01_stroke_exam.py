"""
Maps of a stroke exam
=====================

From an exam to five maps, core and penumbra.
"""

# %%
# The exam is simulated: an occlusion of the left middle cerebral artery, a whole head at a
# quarter of the usual pixels so that this page builds in seconds. With an exam of your own, write
# ``exam = bolus.read_exam("folder")`` or give the folder to :func:`bolus.run`.
import matplotlib.pyplot as plt
import numpy as np

import bolus

recipe = bolus.Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
exam, truth = bolus.simulate_exam(1, recipe)
results = bolus.run(exam, methods="bma")
stroke = results["bma"]
print(f"core {stroke.lesion.core_ml:.1f} ml (truth {truth.core_ml:.1f} ml)")
print(f"hypoperfused {stroke.lesion.hypoperfused_ml:.1f} ml (truth {truth.hypo_ml:.1f} ml)")

# %%
# Arrays are indexed (z, y, x), with x to the patient's left and y to the back: drawn with row 0
# on top, the patient's left is on the right of the picture, as in radiology. Voxels outside the
# brain and in CSF are 0.
windows = {
    "cbf": (0, 80, "ml/100g/min"),
    "cbv": (0, 6, "ml/100g"),
    "mtt": (0, 16, "s"),
    "tmax": (0, 12, "s"),
    "ttp": (10, 30, "s"),
}
z = 3
aspect = exam.geometry.spacing_mm[1] / exam.geometry.spacing_mm[2]
figure, axes = plt.subplots(2, 3, figsize=(9.5, 6.4), layout="constrained")
for axis, (name, (low, high, unit)) in zip(axes.flat, windows.items(), strict=False):
    shown = np.ma.masked_where(stroke.cbf[z] == 0, getattr(stroke, name)[z])
    picture = axis.imshow(shown, vmin=low, vmax=high, cmap="viridis", aspect=aspect)
    figure.colorbar(picture, ax=axis, label=unit, shrink=0.8)
    axis.set_title(name.upper() if name != "tmax" else "Tmax")

last = axes.flat[5]
last.imshow(exam.frames[:4, z].mean(axis=0), vmin=0, vmax=80, cmap="gray", aspect=aspect)
labels = stroke.lesion.labels[z]
last.contour(labels > 0, [0.5], colors="#E69F00", linewidths=1.5)
last.contour(labels == 2, [0.5], colors="#CC3377", linewidths=1.5)
last.plot([], [], color="#E69F00", label="hypoperfused")
last.plot([], [], color="#CC3377", label="core")
last.legend(loc="lower right", fontsize=8, framealpha=0.9)
last.set_title("CT and lesion")
for axis in axes.flat:
    axis.set(xticks=[], yticks=[])
    axis.text(0.03, 0.5, "R", transform=axis.transAxes, color="0.5")
plt.show()
