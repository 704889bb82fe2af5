"""
Seven methods against the truth
===============================

The same simulated exam by every method of bolus: absolute flow differs by a factor of two, Tmax
hardly, except for ssvd, which depends on the delay.
"""

# %%
# All methods get the same filtered curves and the same arterial input, except for the network,
# which needs none.
import matplotlib.pyplot as plt
import numpy as np

import bolus

recipe = bolus.Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
exam, truth = bolus.simulate_exam(2, recipe)
results = bolus.run(exam, methods=bolus.METHODS)

# %%
# Bars reach from the 16th to the 84th percentile of the voxels, the line marks the median, the
# dashed line the truth. Voxels are those in which the truth is defined: brain without CSF and
# large vessels.
tissues = {
    "grey matter": truth.valid & ~truth.hypo & (truth.tissue == 1),
    "white matter": truth.valid & ~truth.hypo & (truth.tissue == 2),
    "hypoperfused": truth.hypo,
}
colours = ("#0072B2", "#56B4E9", "#CC3377")
figure, (flow, delay) = plt.subplots(2, 1, figsize=(9.5, 6.6), layout="constrained", sharex=True)
for k, (tissue, mask) in enumerate(tissues.items()):
    for m, method in enumerate(bolus.METHODS):
        where = m + 0.25 * (k - 1)
        ratio = results[method].cbf[mask] / truth.cbf[mask]
        off = results[method].tmax[mask] - truth.tmax[mask]
        for axis, values in ((flow, ratio), (delay, off)):
            low, mid, high = np.percentile(values, (16, 50, 84))
            axis.bar(
                where,
                high - low,
                0.22,
                bottom=low,
                color=colours[k],
                label=tissue if m == 0 else None,
            )
            axis.hlines(mid, where - 0.11, where + 0.11, color="black", lw=2)
flow.axhline(1, color="0.4", ls="--", lw=1)
flow.set(ylabel="CBF / true CBF", ylim=(0, None), title="absolute flow")
flow.legend(frameon=False, ncols=3)
delay.axhline(0, color="0.4", ls="--", lw=1)
delay.set(ylabel="Tmax - true Tmax, s", xticks=range(len(bolus.METHODS)), title="Tmax")
delay.set_ylim(-4, 2)
delay.set_xticklabels(bolus.METHODS)
plt.show()
