"""Large arteries and veins: tubes along plausible paths in atlas space, with partial volume."""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from scipy.interpolate import CubicSpline

from bolus.simulate.head import Surface, distance_ray, skull_surface
from bolus.simulate.slab import Slab, mean_over_sub_slices
from bolus.types import Float32Array, Float64Array

Path = list[tuple[float, float, float]]

# Control points in atlas mm (x, y, z; RAS) of the right side; x is mirrored for the left.
ICA: Path = [(12, -8, -46), (13, 4, -36), (12, 8, -28), (11, 3, -24), (13, 3, -18)]
M1: Path = [(13, 3, -18), (19, 2, -17), (26, 3, -17), (33, 3, -18), (37, 2, -16)]
M2_UPPER: Path = [(37, 2, -16), (40, 4, -8), (41, -1, 2), (41, -5, 12), (47, -7, 17),
                  (57, -8, 18), (62, -12, 26), (60, -16, 38), (54, -18, 50)]  # fmt: skip
M2_LOWER: Path = [(37, 2, -16), (40, -6, -10), (42, -16, -1), (43, -25, 9), (49, -34, 13),
                  (58, -43, 17), (58, -52, 28), (52, -58, 40)]  # fmt: skip
M2_FRONT: Path = [(40, 4, -8), (39, 13, -2), (40, 20, 6), (46, 23, 12), (53, 19, 20),
                  (53, 14, 32), (48, 12, 46)]  # fmt: skip
M2_TEMPORAL: Path = [(37, 2, -16), (43, -4, -17), (52, -10, -14), (62, -18, -9), (64, -32, -5),
                     (60, -46, -2)]  # fmt: skip
A1: Path = [(13, 3, -18), (8, 7, -16), (3, 12, -15)]
A2: Path = [(3, 12, -15), (2.5, 22, -14), (3, 32, -5), (3, 38, 6), (3, 36, 17), (3, 28, 26),
            (3, 14, 32), (3, -4, 37), (4, -22, 40)]  # fmt: skip
A_FRONT: Path = [(3, 32, -5), (4, 46, 0), (5, 57, 10), (6, 58, 24), (7, 50, 38)]
P1: Path = [(1, -16, -17), (7, -15, -17), (14, -20, -16), (18, -30, -10), (16, -42, -4),
            (14, -58, 2), (13, -74, 6), (14, -86, 8)]  # fmt: skip
BASILAR: Path = [(0, -26, -48), (0, -23, -36), (0, -19, -26), (1, -16, -17)]
GALEN: Path = [(2, -8, 14), (2, -20, 13), (2, -32, 10), (0, -40, 5), (0, -48, 6)]

CLOT_START = 0.35
"""The clot begins after this share of M1 and ends where M2 begins."""
COLLATERAL_DELAY_S = 4.0
COLLATERAL_DISPERSION_S = 2.5
COLLATERAL_FILLING = 0.6
"""Remaining cross-section of branches distal to the clot."""


@dataclass(frozen=True)
class Tube:
    """A vessel: a smooth path with a radius that tapers and a delay that grows along it."""

    path: Float64Array
    """(n, 3) atlas mm, dense."""
    radius_mm: Float64Array
    """(n,)"""
    delay_s: Float64Array
    """(n,) after the internal carotid artery (arteries) or the sagittal sinus (veins)."""
    dispersion_s: float = 0.0
    vein: bool = False
    clot: bool = False


@dataclass(frozen=True)
class Vessels:
    """Large vessels on the slab's slices, all (Z, Y, X) float32."""

    artery: Float32Array
    """Fraction of the voxel that is arterial blood, 0..1."""
    vein: Float32Array
    artery_delay_s: Float32Array
    artery_dispersion_s: Float32Array
    vein_delay_s: Float32Array
    clot: Float32Array
    fine_blood: Float32Array
    """(F, Y, X) fraction of blood (clot included) on sub-slices."""
    fine_clot: Float32Array


def tube(
    points: Path,
    radius_mm: tuple[float, float],
    delay_s: tuple[float, float],
    *,
    side: int = 1,
    wander_mm: Float64Array | None = None,
    dispersion_s: float = 0.0,
    vein: bool = False,
) -> Tube:
    """Spline through control points, sampled every 0.4 mm; ``side`` -1 mirrors to the left."""
    control = np.array(points, dtype=np.float64) * [side, 1, 1]
    if wander_mm is not None:
        control[1:-1] += wander_mm[1 : len(points) - 1]
    chord = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(control, axis=0), axis=1))])
    along = np.linspace(0, chord[-1], int(chord[-1] / 0.4) + 2)
    share = along / chord[-1]
    return Tube(
        path=np.asarray(CubicSpline(chord, control)(along)),
        radius_mm=np.asarray(radius_mm[0] + (radius_mm[1] - radius_mm[0]) * share),
        delay_s=np.asarray(delay_s[0] + (delay_s[1] - delay_s[0]) * share),
        dispersion_s=dispersion_s,
        vein=vein,
    )


def arteries(occluded: tuple[int, ...], rng: np.random.Generator) -> list[Tube]:
    """Circle of Willis and branches; ``occluded`` holds -1 for the left M1, 1 for the right."""
    tubes = [tube(BASILAR, (1.7, 1.6), (-0.2, 0.1))]
    for side in (-1, 1):
        wander = rng.normal(0, 1.0, (12, 12, 3))
        blocked = side in occluded
        late = COLLATERAL_DELAY_S if blocked else 0.0
        smear = COLLATERAL_DISPERSION_S if blocked else 0.0
        thin = COLLATERAL_FILLING**0.5 if blocked else 1.0
        tubes.append(tube(ICA, (2.2, 1.9), (-0.2, 0.0), side=side))
        tubes.append(tube(A1, (1.2, 1.2), (0.0, 0.1), side=side))
        tubes.append(tube(A2, (1.2, 0.7), (0.1, 0.7), side=side, wander_mm=wander[0] * 0.3))
        tubes.append(tube(A_FRONT, (0.8, 0.6), (0.3, 0.8), side=side, wander_mm=wander[1] * 0.5))
        tubes.append(tube(P1, (1.3, 0.8), (0.1, 0.9), side=side, wander_mm=wander[2]))
        m1 = tube(M1, (1.5, 1.4), (0.0, 0.2), side=side, wander_mm=wander[3])
        tubes += _occlude(m1) if blocked else [m1]
        for branch, bend in zip(
            (M2_UPPER, M2_LOWER, M2_FRONT, M2_TEMPORAL), wander[4:8], strict=True
        ):
            # collaterals fill the branches from their far ends: the nearer to the clot, the later
            delays = (late + 0.2, late / 2 + 0.8)
            radii = (1.2 * thin, 0.7 * thin)
            tubes.append(tube(branch, radii, delays, side=side, wander_mm=bend, dispersion_s=smear))
    return tubes


def _occlude(m1: Tube) -> list[Tube]:
    """Split M1 into the open stump and the clot."""
    cut = int(CLOT_START * len(m1.path))
    stump = Tube(m1.path[:cut], m1.radius_mm[:cut], m1.delay_s[:cut])
    clot = Tube(m1.path[cut:], m1.radius_mm[cut:], m1.delay_s[cut:], clot=True)
    return [stump, clot]


def veins(surface: Surface, rng: np.random.Generator) -> list[Tube]:
    """Sinuses along the inner table, deep veins in the midline and a few cortical veins."""
    tubes = [tube(GALEN, (1.1, 2.0), (-0.8, -0.2), vein=True)]
    sagittal = [_skull_point(surface, float(e), 0.0, 3.0) for e in np.linspace(75, -108, 40)]
    tubes.append(tube(sagittal, (2.0, 4.2), (-0.2, 0.3), vein=True))
    straight = [GALEN[-1], (0.0, -62.0, 1.0), (0.0, -78.0, -6.0), sagittal[-1]]
    tubes.append(tube(straight, (2.2, 2.4), (-0.2, 0.2), vein=True))
    for side in (-1, 1):
        transverse = [
            sagittal[-1],
            *(_occipital_point(surface, sagittal[-1][2], side * a, 3.5) for a in range(10, 66, 8)),
        ]
        tubes.append(tube(transverse, (3.6, 3.2), (0.3, 0.5), vein=True))
        for elevation in rng.uniform(-70, 60, 4):
            cortical = [
                _skull_point(surface, elevation + 0.2 * a, side * a, 2.5)
                for a in np.linspace(4, 55, 7)
            ]
            tubes.append(tube(cortical, (1.3, 0.8), (-0.3, -1.0), vein=True))
    return tubes


def _skull_point(
    surface: Surface, elevation_deg: float, turn_deg: float, inset_mm: float
) -> tuple[float, float, float]:
    """Point inside the inner table, seen from the brain's middle.

    Elevation runs in the midline from the forehead (90) over the vertex (0) to the occiput (-90);
    turn leads away from the midline.
    """
    e, a = np.deg2rad([elevation_deg, turn_deg])
    direction = np.array([np.sin(a), np.cos(a) * np.sin(e), np.cos(a) * np.cos(e)])
    return _inside(surface, np.array([0.0, -18.0, 8.0]), direction, inset_mm)


def _occipital_point(
    surface: Surface, height_mm: float, turn_deg: float, inset_mm: float
) -> tuple[float, float, float]:
    """Point inside the inner table at one height; turn 0 is straight back."""
    a = np.deg2rad(turn_deg)
    direction = np.array([np.sin(a), -np.cos(a), 0.0])
    return _inside(surface, np.array([0.0, -35.0, height_mm]), direction, inset_mm)


def _inside(
    surface: Surface, start: Float64Array, direction: Float64Array, inset_mm: float
) -> tuple[float, float, float]:
    """Where a ray comes within ``inset_mm`` of the inner table."""
    x, y, z = start + direction * (distance_ray(surface, start, direction) - inset_mm)
    return float(x), float(y), float(z)


@numba.njit(nogil=True)
def _draw(
    cover: Float32Array,
    delay: Float32Array,
    dispersion: Float32Array,
    points: Float64Array,
    radius_mm: Float64Array,
    delays_s: Float64Array,
    dispersion_s: float,
    spacing: Float64Array,
) -> None:
    """Paint balls along a path into ``cover``; the fuller voxel keeps its delay."""
    depth, rows, columns = cover.shape
    for n in range(points.shape[0]):
        reach = radius_mm[n] + spacing[2]
        z0, y0, x0 = points[n]
        nz, ny, nx = reach / spacing[0], reach / spacing[1], reach / spacing[2]
        for z in range(max(0, int(z0 - nz)), min(depth, int(z0 + nz) + 2)):
            for y in range(max(0, int(y0 - ny)), min(rows, int(y0 + ny) + 2)):
                for x in range(max(0, int(x0 - nx)), min(columns, int(x0 + nx) + 2)):
                    distance = np.sqrt(
                        ((z - z0) * spacing[0]) ** 2
                        + ((y - y0) * spacing[1]) ** 2
                        + ((x - x0) * spacing[2]) ** 2
                    )
                    part = min(1.0, max(0.0, (radius_mm[n] - distance) / spacing[2] + 0.5))
                    if part > cover[z, y, x]:
                        cover[z, y, x] = part
                        delay[z, y, x] = delays_s[n]
                        dispersion[z, y, x] = dispersion_s


def make_vessels(slab: Slab, occluded: tuple[int, ...], rng: np.random.Generator) -> Vessels:
    """Draw all vessels on sub-slices and average them to slices."""
    depth, rows, columns = slab.geometry.shape
    shape = (depth * slab.sub, rows, columns)
    step, row_mm, column_mm = slab.geometry.spacing_mm
    spacing = np.array([step / slab.sub, row_mm, column_mm])
    origin = np.array([slab.sub_heights_mm()[0], *slab.geometry.affine[[1, 0], 3]])
    layers = {kind: [np.zeros(shape, np.float32) for _ in range(3)] for kind in ("a", "v", "c")}
    for one in arteries(occluded, rng) + veins(skull_surface(), rng):
        layer = layers["c" if one.clot else "v" if one.vein else "a"]
        points = (slab.patient_positions(one.path)[:, ::-1] - origin) / spacing
        _draw(
            layer[0],
            layer[1],
            layer[2],
            points,
            one.radius_mm,
            one.delay_s,
            one.dispersion_s,
            spacing,
        )
    artery, vein, clot = (layers[kind][0] for kind in "avc")
    # where two touch, the sum must not exceed the voxel: arteries first, then the clot
    clot = np.minimum(clot, 1 - artery)
    vein = np.minimum(vein, 1 - artery - clot)
    layers["v"][0] = vein
    return Vessels(
        artery=mean_over_sub_slices(artery, slab.sub),
        vein=mean_over_sub_slices(vein, slab.sub),
        artery_delay_s=_mean_in_vessel(artery, layers["a"][1], slab.sub),
        artery_dispersion_s=_mean_in_vessel(artery, layers["a"][2], slab.sub),
        vein_delay_s=_mean_in_vessel(vein, layers["v"][1], slab.sub),
        clot=mean_over_sub_slices(clot, slab.sub),
        fine_blood=artery + vein + clot,
        fine_clot=clot,
    )


def _mean_in_vessel(cover: Float32Array, value: Float32Array, sub: int) -> Float32Array:
    """Mean over a slice's sub-slices, weighted by blood; 0 where there is none."""
    weight = mean_over_sub_slices(cover, sub)
    total = mean_over_sub_slices(cover * value, sub)
    mean: Float32Array = np.divide(total, weight, out=np.zeros_like(total), where=weight > 0)
    return mean
