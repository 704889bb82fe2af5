r"""
Deconvolve your own curves
==========================

Curves of any origin, here as dynamic susceptibility contrast MRI gives them, without any of
bolus's file formats.
"""

# %%
# Deconvolution needs curves (voxels x times), an arterial input on the same times, and the times.
# The unit of concentration cancels: change of relaxation rate in 1/s, mM and HU give the same
# maps. These curves are simulated: 300 voxels each of three kinds of tissue, every 1.5 s for 75
# s, with an exponential residue function and noise.
import matplotlib.pyplot as plt
import numpy as np

import bolus

rng = np.random.default_rng(0)
times_s = np.arange(0.0, 75.0, 1.5)
fine_s = np.arange(0.0, 75.0, 0.05)
late = np.maximum(fine_s - 10, 0) / 6
aif = 60 * late**3 * np.exp(3 * (1 - late))  # change of R2*, 1/s

kinds = {
    "grey matter": (4.0, 4.0, 0.5),
    "white matter": (2.0, 5.0, 1.0),
    "penumbra": (3.5, 12.0, 4.0),
}
curves = []
for cbv, mtt_s, delay_s in kinds.values():
    response = np.exp(-fine_s / mtt_s)
    passed = np.convolve(aif, response / response.sum())[: fine_s.size]
    curve = cbv / 69.84 * np.interp(times_s - delay_s, fine_s, passed)
    curves.append(curve + rng.normal(0, 0.08, (300, times_s.size)))
curves = np.concatenate(curves)
aif = np.interp(times_s, fine_s, aif)

maps = bolus.deconvolve(curves, aif, "bma", times_s=times_s)

# %%
# The maps have the shape of the curves without their last axis. The bars are medians with the
# central 68 % of voxels, the crosses the truth.
figure, axes = plt.subplots(1, 3, figsize=(9.5, 3.4), layout="constrained")
axes[0].plot(times_s, aif / 20, color="0.3", label="arterial input / 20")
colours = ("#0072B2", "#E69F00", "#CC3377")
for k, (name, colour) in enumerate(zip(kinds, colours, strict=True)):
    axes[0].plot(times_s, curves[300 * k], ".", color=colour, ms=4, label=name)
axes[0].set(xlabel="time, s", ylabel="change of R2*, 1/s", title="curves of one voxel each")
axes[0].legend(frameon=False, fontsize=8)
truth = {
    "cbf": [60 * cbv / mtt for cbv, mtt, _ in kinds.values()],
    "tmax": [delay + mtt / 2 for _, mtt, delay in kinds.values()],
}
for axis, (name, unit) in zip(axes[1:], (("cbf", "ml/100g/min"), ("tmax", "s")), strict=True):
    low, mid, high = np.percentile(getattr(maps, name).reshape(3, 300), (16, 50, 84), axis=1)
    axis.bar(list(kinds), mid, color=colours, yerr=(mid - low, high - mid), capsize=4, width=0.6)
    axis.plot(range(3), truth[name], "kx", ms=9, mew=2, label="truth")
    axis.set(title="CBF" if name == "cbf" else "Tmax", ylabel=unit)
    axis.tick_params(axis="x", labelsize=8)
    axis.legend(frameon=False)
plt.show()
