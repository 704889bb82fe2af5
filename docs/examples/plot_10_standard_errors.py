"""
Standard errors
===============

``bma`` and ``cnn`` say how sure they are of every voxel. Is it true?
"""

# %%
# Maps with standard errors have a dictionary ``se``, in the unit of each map.
import matplotlib.pyplot as plt
import numpy as np

import bolus

recipe = bolus.Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
exam, truth = bolus.simulate_exam(1, recipe)
maps = bolus.run(exam, methods="bma")["bma"].maps

# %%
# If the standard errors are right, 68 % of the errors are smaller than one of them, and voxels
# with larger ones err more. The picture groups the voxels by their standard error.
z = 3
aspect = exam.geometry.spacing_mm[1] / exam.geometry.spacing_mm[2]
figure, axes = plt.subplots(
    1, 3, figsize=(9.5, 3.4), layout="constrained", width_ratios=(1, 1, 1.3)
)
for axis, volume, title, top in (
    (axes[0], maps.tmax, "Tmax", 12),
    (axes[1], maps.se["tmax"], "its standard error", 2),
):
    shown = np.ma.masked_where(maps.cbf[z] == 0, volume[z])
    picture = axis.imshow(shown, vmin=0, vmax=top, cmap="viridis", aspect=aspect)
    figure.colorbar(picture, ax=axis, label="s", shrink=0.7)
    axis.set(title=title, xticks=[], yticks=[])
valid = truth.valid & (maps.cbf > 0)
error = np.abs(maps.tmax - truth.tmax)[valid]
claimed = maps.se["tmax"][valid]
edges = np.quantile(claimed, np.linspace(0, 1, 9))
group = np.clip(np.searchsorted(edges, claimed) - 1, 0, 7)
middle = [np.median(claimed[group == g]) for g in range(8)]
actual = [np.quantile(error[group == g], 0.68) for g in range(8)]
axes[2].plot(middle, actual, "o-", color="#0072B2")
axes[2].axline((0, 0), slope=1, color="0.4", ls="--", lw=1)
share = 100 * (error <= claimed).mean()
axes[2].set(
    xlabel="standard error, s",
    ylabel="68th percentile of errors, s",
    title=f"{share:.0f} % within one (68 % expected)",
)
plt.show()
