"""The scanned slab: its voxels, and where each of them lies in the atlas."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bolus.axes import MIRROR
from bolus.simulate.recipe import Recipe
from bolus.types import Float32Array, Float64Array, Geometry

MARGIN = 1
"""Slices simulated beyond each end of the slab, so that a moving head stays inside."""
CENTRE_MM = np.array([0.0, -18.0, 10.0])
"""Centre of the head in atlas coordinates (RAS); rotations and scaling are about it."""


@dataclass(frozen=True)
class Slab:
    """Slices with margin and the seed's individual head: slightly scaled, rotated and warped."""

    geometry: Geometry
    """Of the slices including the margin."""
    sub: int
    """Sub-slices per slice, for the partial volume across the slice."""
    linear: Float64Array
    """(3, 3) rotation and scaling, patient to atlas."""
    warp: Float64Array
    """(3, W, 3, 2) wave number (1/mm) and phase of each wave of each component along each axis."""
    warp_mm: float
    """Amplitude of each wave, mm."""

    def heights_mm(self) -> Float64Array:
        """(Z,) heights of the slices' centres, mm."""
        step = self.geometry.spacing_mm[0]
        return np.asarray(self.geometry.affine[2, 3] + np.arange(self.geometry.shape[0]) * step)

    def sub_heights_mm(self) -> Float64Array:
        """(Z * sub,) heights of the sub-slices' centres, mm."""
        step = self.geometry.spacing_mm[0]
        first = self.geometry.affine[2, 3] - step / 2 + step / self.sub / 2
        return np.asarray(first + np.arange(self.geometry.shape[0] * self.sub) * step / self.sub)

    def atlas_positions(self, heights_mm: Float64Array) -> Float32Array:
        """(3, Z, Y, X) atlas coordinates (x, y, z in RAS mm) of all pixels at these heights."""
        _, rows, columns = self.geometry.shape
        affine = self.geometry.affine
        axes = (
            -(affine[0, 3] + np.arange(columns) * affine[0, 2]),
            -(affine[1, 3] + np.arange(rows) * affine[1, 1]),
            heights_mm,
        )
        x, y, z = (axis - centre for axis, centre in zip(axes, CENTRE_MM, strict=True))
        out = np.empty((3, z.size, rows, columns), np.float32)
        for i in range(3):
            row = self.linear[i]
            plane = row[2] * z[:, None, None] + row[1] * y[:, None] + row[0] * x + CENTRE_MM[i]
            for wave in self.warp[i]:
                wx, wy, wz = (
                    np.cos(k * axis + phase)
                    for axis, (k, phase) in zip((x, y, z), wave, strict=True)
                )
                plane += self.warp_mm * wz[:, None, None] * (wy[:, None] * wx)
            out[i] = plane
        return out

    def patient_positions(self, atlas_mm: Float64Array) -> Float64Array:
        """(n, 3) LPS positions of (n, 3) atlas points: the inverse, by fixed-point iteration."""
        inverse = np.linalg.inv(self.linear)
        target = atlas_mm - CENTRE_MM
        local = target @ inverse.T
        for _ in range(8):
            local = (target - self._displacement(local)) @ inverse.T
        return np.asarray((local + CENTRE_MM) * MIRROR)

    def _displacement(self, local: Float64Array) -> Float64Array:
        waves = np.cos(
            self.warp[None, :, :, :, 0] * local[:, None, None, :] + self.warp[None, :, :, :, 1]
        )
        return np.asarray(self.warp_mm * waves.prod(axis=3).sum(axis=2))


def rotation(degrees: Float64Array) -> Float64Array:
    """(3, 3) rotation about x, then y, then z."""
    ax, ay, az = np.deg2rad(degrees)
    cx, sx, cy, sy, cz, sz = np.cos(ax), np.sin(ax), np.cos(ay), np.sin(ay), np.cos(az), np.sin(az)
    about_x = np.array([[1, 0, 0], [0, cx, -sx], [0, sx, cx]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_z = np.array([[cz, -sz, 0], [sz, cz, 0], [0, 0, 1]])
    return np.asarray(about_z @ about_y @ about_x)


def make_slab(recipe: Recipe, rng: np.random.Generator) -> Slab:
    """Slab of the recipe through a head of random size, posture and shape (modest)."""
    shape = (recipe.slices + 2 * MARGIN, recipe.matrix, recipe.matrix)
    affine = np.zeros((4, 4))
    affine[2, 0], affine[1, 1], affine[0, 2] = recipe.slice_mm, recipe.pixel_mm, recipe.pixel_mm
    half = (recipe.matrix - 1) / 2 * recipe.pixel_mm
    # the head lies a little in front of the isocentre, to leave room for the head rest
    affine[:, 3] = (-half, -CENTRE_MM[1] - half + 4, recipe.bottom_mm - MARGIN * recipe.slice_mm, 1)
    affine[:2, 3] -= recipe.offset_mm
    size = rng.normal([0.98, 0.98, 0.99], 0.02)
    degrees = rng.normal(0.0, [2.0, 2.0, 3.0]) + recipe.tilt_deg
    wave = 2 * np.pi / rng.uniform(90, 160, (3, 2, 3))
    phase = rng.uniform(0, 2 * np.pi, (3, 2, 3))
    return Slab(
        geometry=Geometry(shape, affine),
        sub=max(1, round(recipe.slice_mm / 1.0)),
        linear=np.diag(1 / size) @ rotation(degrees),
        warp=np.stack([wave, phase], axis=-1),
        warp_mm=1.8,
    )


def mean_over_sub_slices(fine: Float32Array, sub: int) -> Float32Array:
    """(Z * sub, Y, X) to (Z, Y, X): averages over thick slices."""
    z, rows, columns = fine.shape
    mean: Float32Array = fine.reshape(z // sub, sub, rows, columns).mean(axis=1)
    return mean


def without_margin(slab: Slab) -> Geometry:
    """Geometry of the exam: the slab without its margin for motion."""
    depth, rows, columns = slab.geometry.shape
    affine = slab.geometry.affine.copy()
    affine[:, 3] += MARGIN * affine[:, 0]
    return Geometry((depth - 2 * MARGIN, rows, columns), affine)
