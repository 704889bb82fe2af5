"""Results of a made-up exam: an elliptic head with a lesion on the patient's left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from bolus.types import (
    Arteries,
    Check,
    Finding,
    Geometry,
    Grade,
    Lesion,
    Maps,
    MethodResult,
    Motion,
    Results,
    Scanner,
    Tissue,
    Vessel,
)

SHAPE = (4, 60, 52)
AXIAL = np.array([[0, 0, 3.0, -76.5], [0, 3.0, 0, -88.5], [5.0, 0, 0, 10.0], [0, 0, 0, 1]])
"""Index (z, y, x) to LPS: stored from inferior, front and right."""


def flipped(affine: np.ndarray) -> np.ndarray:
    """The same grid of points stored from superior, back and left."""
    last = np.array(SHAPE) - 1
    turned = affine.copy()
    turned[:3, 3] += affine[:3, :3] @ last
    turned[:3, :3] *= -1
    return turned


def sheared(affine: np.ndarray) -> np.ndarray:
    """The same grid with the gantry tilted by 15 degrees."""
    tilted = affine.copy()
    tilted[1, 0] = 5.0 * np.tan(np.radians(15.0))
    return tilted


def _positions(geometry: Geometry) -> np.ndarray:
    """(3, Z, Y, X) LPS mm."""
    index = np.indices(geometry.shape).reshape(3, -1)
    points = geometry.affine[:3, :3] @ index + geometry.affine[:3, 3:]
    return points.reshape(3, *geometry.shape)


def _method(name: str, strength: float, geometry: Geometry, brain: np.ndarray) -> MethodResult:
    x, y, _ = _positions(geometry)
    weight = np.exp(-(((x - 42) / 22) ** 2) - ((y + 5) / 30) ** 2)
    weight = (weight * strength * brain).astype(np.float32)
    cbf = np.where(brain, 48 * (1 - 0.85 * weight) + 6 * np.sin(x / 9) * np.cos(y / 7), 0)
    mtt = np.where(brain, 4.2 + 7 * weight, 0)
    tmax = np.where(brain, 2.0 + 9 * weight + 0.3 * np.sin(y / 5), 0)
    ttp = np.where(brain, 18 + 8 * weight, 0)
    cbf, mtt = cbf.astype(np.float32), mtt.astype(np.float32)
    labels = (tmax > 6).astype(np.uint8)
    labels[(labels > 0) & (cbf < 16)] = 2
    maps = Maps(
        method=name,
        cbf=cbf,
        cbv=(cbf * mtt / 60).astype(np.float32),
        mtt=mtt,
        tmax=tmax.astype(np.float32),
        ttp=ttp.astype(np.float32),
        parameters={"lambda": 0.1, "residue": "box"},
    )
    ml = geometry.voxel_ml
    core, all_ml = float((labels == 2).sum()) * ml, float((labels > 0).sum()) * ml
    lesion = Lesion(
        labels=labels,
        preset="rapid",
        core_rule="CBF < 30 % of normal tissue",
        hypoperfused_rule="Tmax > 6 s",
        rule_source="a trial & its paper",
        side="left",
        reference_cbf=46.25,
        reference="mean of normal tissue",
        core_ml=core,
        hypoperfused_ml=all_ml,
        penumbra_ml=all_ml - core,
        mismatch_ml=all_ml - core,
        mismatch_ratio=all_ml / core if core >= 1 else None,
        hir=0.42,
        tmax_ml={str(t): float((tmax > t).sum()) * ml for t in (4, 6, 8, 10)},
        cbv_index=0.81,
        core_lower_bound=False,
        hypoperfused_lower_bound=True,
        findings=(Finding("lesion-at-slab-edge", Grade.NOTE, "The lesion reaches the top slice."),),
    )
    return MethodResult(maps, lesion)


def _gamma(time: np.ndarray, start: float, width: float, peak: float) -> np.ndarray:
    u = np.clip((time - start) / width, 0, None)
    recirculation = 0.12 * peak / (1 + np.exp(-(time - start - 18) / 3))
    return peak * (u / 3) ** 3 * np.exp(3 - u) + recirculation


def build(affine: np.ndarray = AXIAL) -> Results:
    """Results on any grid; the head and its lesion stay where they are in the patient."""
    geometry = Geometry(SHAPE, affine)
    x, y, z = _positions(geometry)
    radius = np.hypot(x / 66, y / 80)
    brain = radius < 0.9
    grey = 34 + 4 * np.sin(x / 6) * np.cos(y / 8)
    baseline = np.select([brain, radius < 1.0], [grey, 1100.0], -1000.0)
    tissue = Tissue(
        baseline.astype(np.float32),
        brain,
        csf=np.hypot(x / 12, (y - 5) / 22) < 1,
        vessel=np.zeros(SHAPE, dtype=bool),
    )
    frames, time = 30, np.arange(0, 60.0, 1.0)
    rng = np.random.default_rng(4)
    motion = Motion(
        rotation_deg=rng.normal(0, 0.15, (frames, 3)),
        translation_mm=rng.normal(0, 0.2, (frames, 3)),
        displacement_mm=np.abs(rng.normal(0.3, 0.1, frames)),
        residual_hu=np.full(frames, 4.0),
        kept=np.arange(frames) != 17,
    )
    near = [np.argmin((x - a) ** 2 + (y - b) ** 2 + (z - c) ** 2) for a, b, c in
            ((-30, -20, 15), (-32, -20, 15), (0, 66, 20))]  # fmt: skip
    places = np.stack(np.unravel_index(near, SHAPE), axis=1)
    vof = Vessel(_gamma(time, 13, 3.0, 420.0), places[2:], 0.95)
    aif = Vessel(_gamma(time, 9, 2.6, 210.0), places[:2], 0.88, fraction=0.47, score=0.9)
    marks = {"peak": 0.97, "earliness": 0.62, "place": 1.0}
    second = replace(aif, voxels=places[1:2], score=0.6, parts=marks, delay_s=0.55, diameter_mm=2.1)
    arteries = Arteries(aif, vof, scale=2.15, candidates=(aif, second), vein_candidates=(vof,))
    peak = np.where(brain, 8.0, 0.0).astype(np.float32)
    peak[tuple(places[:2].T)], peak[tuple(places[2])] = 210, 420
    return Results(
        geometry=geometry,
        scanner=Scanner("dicom", "Maker", "Model 64", "H30f", 80.0, 150.0, 5.0),
        dicom_identity={"StudyInstanceUID": "1.2.3.4", "FrameOfReferenceUID": "1.2.3.5"},
        times_s=np.linspace(0, 58, frames)[:, None] + np.linspace(0, 0.4, SHAPE[0]),
        grid_s=time,
        arrival_s=9.0,
        motion=motion,
        tissue=tissue,
        peak_hu=peak,
        arteries=arteries,
        methods={
            "nlr": _method("nlr", 1.0, geometry, brain),
            "osvd": _method("osvd", 0.9, geometry, brain),
        },
        checks=(
            Check("timing", Grade.NOTE, 2.0, "s", "Frames every 2.0 s (limit 3.5 s)."),
            Check("truncation", Grade.WARNING, 0.71, "", "The scan ends early.", "Scan for 60 s."),
        ),
        findings=(Finding("timing-assumed", Grade.NOTE, "Frame times come from the headers."),),
        parameters={"lesion": {"tmax_threshold_s": 6.0, "core_rcbf": 0.3, "preset": "rapid"}},
        timings_s={"acquire": 2.5, "align": 3.25},
        versions={"bolus": "0.1.0", "python": "3.12.3"},
    )


@pytest.fixture(scope="session")
def results() -> Results:
    """Axial slices stored the usual way."""
    return build()


@pytest.fixture(scope="session")
def results_on() -> Callable[[str], Results]:
    """The same patient on an axial, a flipped or a sheared grid."""
    affines = {"axial": AXIAL, "flipped": flipped(AXIAL), "sheared": sheared(AXIAL)}
    return lambda grid: build(affines[grid])


@pytest.fixture(scope="session")
def averaged(results: Results) -> Results:
    """Results of a method that knows its standard errors."""
    method = results.methods["nlr"]
    se = {
        key: (0.2 * getattr(method.maps, key)).astype(np.float32)
        for key in ("cbf", "cbv", "mtt", "tmax")
    }
    maps = replace(method.maps, method="bma", se=se)
    return replace(results, methods={"bma": replace(method, maps=maps)})


@pytest.fixture
def hostile(results: Results) -> Results:
    """Headers and messages that try to be HTML, and an identity that shouldn't be there."""
    scanner = replace(results.scanner, model="<script>alert(1)</script>", kernel='"><img src=x>')
    finding = Finding("odd", Grade.WARNING, "<b>bold</b> & 'quoted'")
    identity = {**results.dicom_identity, "PatientName": "DOE^JANE", "PatientID": "4711"}
    return replace(results, scanner=scanner, findings=(finding,), dicom_identity=identity)
