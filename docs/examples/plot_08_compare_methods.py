"""
Compare two methods
===================

Bland-Altman's plot of two methods' maps, over regions instead of voxels.
"""

# %%
# Neighbouring voxels are not independent, so limits of agreement over voxels would describe
# noise. Here blocks of about 14 x 14 x 8 mm are averaged first. For volumes over many patients
# see :func:`bolus.compare`.
import matplotlib.pyplot as plt
import numpy as np

import bolus

recipe = bolus.Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
exam, truth = bolus.simulate_exam(1, recipe)
results = bolus.run(exam, methods=("nlr", "cnn"))


def blocks(volume: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Means over 8 x 8 pixels of a slice, where at least half of them are in the mask."""
    shape = (len(volume), 16, 8, 16, 8)
    count = mask.reshape(shape).sum(axis=(2, 4))
    total = np.where(mask, volume, 0).reshape(shape).sum(axis=(2, 4))
    return (total / np.maximum(count, 1))[count >= 32]


# %%
# The differences in CBF grow with the mean: the methods disagree by a factor, not by an offset.
# Tmax agrees up to an offset below 1 s in normal tissue.
figure, axes = plt.subplots(1, 2, figsize=(9.5, 3.8), layout="constrained")
mask = truth.valid & (results["nlr"].cbf > 0) & (results["cnn"].cbf > 0)
for axis, name, unit in zip(axes, ("cbf", "tmax"), ("ml/100g/min", "s"), strict=True):
    one = blocks(getattr(results["nlr"], name), mask)
    two = blocks(getattr(results["cnn"], name), mask)
    late = blocks(truth.tmax, mask) > 6
    difference, mean = two - one, (one + two) / 2
    bias, limit = difference.mean(), 1.96 * difference.std(ddof=1)
    axis.plot(mean[~late], difference[~late], "o", ms=4, color="#0072B2", label="normal")
    axis.plot(mean[late], difference[late], "^", ms=5, color="#CC3377", label="true Tmax > 6 s")
    for value, dash in ((bias, "-"), (bias - limit, "--"), (bias + limit, "--")):
        axis.axhline(value, color="0.3", ls=dash, lw=1)
    title = "CBF" if name == "cbf" else "Tmax"
    axis.set(
        title=f"{title}: bias {bias:.1f}, limits {bias - limit:.1f} to {bias + limit:.1f} {unit}",
        xlabel=f"mean of nlr and cnn, {unit}",
        ylabel=f"cnn - nlr, {unit}",
    )
axes[0].legend(frameon=False)
plt.show()
