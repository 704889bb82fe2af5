"""
Fewer frames
============

Every second and every fourth frame of an exam: half and a quarter of the dose.
"""

# %%
# An exam is a frozen dataclass: `dataclasses.replace` makes one with some of its frames, at the
# times at which they were measured.
from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np

import bolus

recipe = bolus.Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=56, dt_s=1.0
)
exam, truth = bolus.simulate_exam(3, recipe)
found = {}
for step in (1, 2, 4):
    thinner = replace(exam, frames=exam.frames[::step], times_s=exam.times_s[::step])
    found[step] = bolus.run(thinner, methods="cnn")["cnn"]

# %%
# True and estimated Tmax of one slice, and the errors in all valid voxels.
z = 3
aspect = exam.geometry.spacing_mm[1] / exam.geometry.spacing_mm[2]
figure, axes = plt.subplots(1, 4, figsize=(9.5, 3.4), layout="constrained")
shown = {
    "truth": truth.tmax,
    **{f"1 frame in {s}" if s > 1 else "all frames": found[s].tmax for s in found},
}
for axis, (name, volume) in zip(axes, shown.items(), strict=True):
    masked = np.ma.masked_where(~truth.valid[z], volume[z])
    picture = axis.imshow(masked, vmin=0, vmax=12, cmap="viridis", aspect=aspect)
    error = np.abs(volume - truth.tmax)[truth.valid].mean()
    axis.set(title=name, xticks=[], yticks=[])
    axis.set_xlabel("" if name == "truth" else f"mean error {error:.2f} s")
figure.colorbar(picture, ax=axes, label="Tmax, s", shrink=0.7)
plt.show()
for step, method in found.items():
    lesion = method.lesion
    print(
        f"1 in {step}: core {lesion.core_ml:.1f} ml, hypoperfused {lesion.hypoperfused_ml:.1f} ml"
    )
print(f"truth: core {truth.core_ml:.1f} ml, hypoperfused {truth.hypo_ml:.1f} ml")
