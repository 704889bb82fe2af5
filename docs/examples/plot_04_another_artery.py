"""
Choose another artery
=====================

What the choice of the arterial input does to flow: the candidates that competed, and the maps of
each.
"""

# %%
# `bolus.preprocess` gives the exam free of motion, its masks and filtered curves;
# `bolus.find_arteries` the arterial input, the venous output and the candidates, the best first.
import matplotlib.pyplot as plt
import numpy as np

import bolus

recipe = bolus.Recipe(
    matrix=128, pixel_mm=1.75, slices=6, slice_mm=8.0, bottom_mm=-12.0, frames=32, dt_s=1.8
)
exam, truth = bolus.simulate_exam(1, recipe)
ready = bolus.preprocess(exam)
automatic = bolus.find_arteries(ready)
chosen = {"1 (automatic)": automatic}
for number, candidate in enumerate(automatic.candidates[1:3], start=2):
    z, y, x = candidate.voxels[0]
    chosen[str(number)] = bolus.find_arteries(ready, aif=(x, y, z))

# %%
# Every artery is scaled to the area of the venous output, so that partial volume cancels; a later
# or broader curve still changes flow and Tmax. Bars: the central 68 % of voxels; dashed: the truth.
normal = truth.valid & ~truth.hypo & (truth.tissue == 1)
figure, (curves, flow, tmax) = plt.subplots(1, 3, figsize=(9.5, 3.5), layout="constrained")
colours = ("#0072B2", "#E69F00", "#009E73", "#CC3377")
for (name, arteries), colour, style in zip(
    chosen.items(), colours, ("-", "--", "-.", ":"), strict=False
):
    maps = bolus.deconvolve(ready.curves, arteries, "bma")
    curves.plot(ready.grid_s, arteries.input_hu, color=colour, ls=style, label=name)
    for axis, volume in ((flow, maps.cbf), (tmax, maps.tmax)):
        low, mid, high = np.percentile(volume[normal], (16, 50, 84))
        axis.errorbar(name[0], mid, [[mid - low], [high - mid]], fmt="o", color=colour, capsize=4)
curves.set(xlabel="time, s", ylabel="scaled enhancement, HU", title="arterial inputs")
curves.legend(frameon=False, title="candidate", fontsize=8)
flow.axhline(np.median(truth.cbf[normal]), color="0.4", ls="--", lw=1)
flow.set(
    ylabel="ml/100g/min", title="CBF of normal grey matter", xlabel="candidate", ylim=(0, None)
)
tmax.axhline(np.median(truth.tmax[normal]), color="0.4", ls="--", lw=1)
tmax.set(ylabel="s", title="Tmax of normal grey matter", xlabel="candidate")
plt.show()
