"""Rigid motion of the head: six parameters and their matrices.

A pose is ``(6,) float64``: a rotation vector in degrees about the patient's x, y and z axes
(right-handed; its length is the angle) and the translation of the head's centre in mm (LPS).  It
says where a point of the reference is found in a frame: ``y = centre + R (x - centre) + t``.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from bolus.types import Float64Array

STILL: Float64Array = np.zeros(6)
"""The pose of a head that did not move."""


def matrix_of(pose: Float64Array, centre: Float64Array) -> Float64Array:
    """Homogeneous matrix of a pose.

    Parameters
    ----------
    pose : (6,) float64, deg and mm
    centre : (3,) float64, mm
        Point about which the head turns.

    Returns
    -------
    (4, 4) float64
        Takes a point of the reference (LPS mm) to where it lies in the frame.
    """
    matrix = np.eye(4)
    matrix[:3, :3] = Rotation.from_rotvec(pose[:3], degrees=True).as_matrix()
    matrix[:3, 3] = centre + pose[3:] - matrix[:3, :3] @ centre
    return matrix


def pose_of(matrix: Float64Array, centre: Float64Array) -> Float64Array:
    """Pose of a rigid matrix; the inverse of `matrix_of`."""
    turn = Rotation.from_matrix(matrix[:3, :3]).as_rotvec(degrees=True)
    return np.concatenate([turn, matrix[:3, :3] @ centre + matrix[:3, 3] - centre])


def displacement_mm(pose: Float64Array, centre: Float64Array, points_mm: Float64Array) -> float:
    """Mean distance by which the pose displaces the points (n, 3), mm."""
    matrix = matrix_of(pose, centre)
    moved = points_mm @ matrix[:3, :3].T + matrix[:3, 3]
    return float(np.linalg.norm(moved - points_mm, axis=1).mean())
