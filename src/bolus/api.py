"""The steps of a run for those who call them from Python; `run` is all of them at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from bolus import types
from bolus.acquire.describe import Description
from bolus.acquire.describe import describe as describe_path
from bolus.acquire.exam import read_exam as read_path
from bolus.acquire.given_times import given_times
from bolus.arteries.find import find_arteries as find_in
from bolus.deconvolution.arrays import curves_of
from bolus.deconvolution.methods import METHODS
from bolus.deconvolution.methods import deconvolve as deconvolve_curves
from bolus.errors import UsageError
from bolus.infer.gather import sampled
from bolus.infer.model import load_model
from bolus.infer.predict import Prediction
from bolus.infer.predict import predict as predict_sampled
from bolus.lesion.measure import measure_lesion as measure
from bolus.lesion.presets import PRESET_NAMES
from bolus.options import Choices, check_name
from bolus.pipeline import analyse, run_exam
from bolus.preprocessing import Preprocessed, Progress, Stages
from bolus.publish.load import load_results as load_folder
from bolus.results import Maps, Results, as_path
from bolus.terminal import stage_printer
from bolus.types import Arteries, Curves, Exam, Float64Array, Geometry, Lesion, Tissue, Voxel

if TYPE_CHECKING:
    from bolus.study.agreement.compare import Comparison

PathLike = str | os.PathLike[str]
Times = PathLike | Iterable[float]


def describe(
    path: PathLike,
    *,
    series: str | int | None = None,
    interval_s: float | None = None,
    times: Times | None = None,
) -> Description:
    """Describe an exam without decoding its pixels, as ``bolus info`` prints it.

    Parameters
    ----------
    path, series, interval_s, times : see `read_exam`.

    Raises
    ------
    NoReadableFiles
        There is no such path, or nothing in it.
    """
    given = given_times(interval_s, times)
    return describe_path(as_path(path), series=_series(series), given=given)


def read_exam(
    path: PathLike,
    *,
    series: str | int | None = None,
    interval_s: float | None = None,
    times: Times | None = None,
) -> Exam:
    """Read a CT perfusion exam.

    Parameters
    ----------
    path : folder, zip or tar of DICOM files, NIfTI with its JSON, or UniToBrain patient folder.
    series : SeriesInstanceUID or series number, where there are several perfusion scans.
    interval_s, times : s between frames, or their times: (T,) s, or a text file; else as read.

    Returns
    -------
    Exam
        ``frames`` (T, Z, Y, X) float32, HU; ``times_s`` (T, Z), s; ``geometry``; ``findings``.

    Raises
    ------
    NotAnExam, BrokenExam, UsageError
        One of the kinds of `bolus.errors`, which names the file, the fault and the remedy.
    """
    given = given_times(interval_s, times)
    return read_path(as_path(path), series=_series(series), given=given)


def run(
    exam: PathLike | Exam,
    methods: str | Sequence[str] = "bma",
    *,
    preset: str = "calibrated",
    aif: Sequence[int] | None = None,
    vof: Sequence[int] | None = None,
    series: str | int | None = None,
    interval_s: float | None = None,
    times: Times | None = None,
    model: PathLike | None = None,
    progress: bool | Progress | None = False,
) -> Results:
    """From an exam to maps, lesions and verdicts, as ``bolus run`` does.

    Parameters
    ----------
    exam : a path as for `read_exam`, or an exam in memory.
    methods : one or several of `bolus.METHODS`.
    preset : thresholds of core and hypoperfused tissue, one of `bolus.PRESETS`.
    aif, vof : voxel (x, y, z) of the artery and the vein, instead of the automatic choice.
    series, interval_s, times : see `read_exam`.
    model : a user-supplied network for ``cnn``, as ``bolus train`` writes it.
    progress : True shows the stages on standard error; a function is called with each stage's name
        and None when it begins, and with its seconds when it ends.

    Raises
    ------
    BolusError
        One of the tree in `bolus.errors`.
    """
    names = _names(methods)
    choices = Choices(
        methods=names,
        preset=preset,
        aif=_voxel("aif", aif),
        vof=_voxel("vof", vof),
        series=_series(series),
        given=given_times(interval_s, times),
        model=None if model is None else as_path(model),
    )
    choices.check()
    if isinstance(exam, Exam) and (series is not None or choices.given is not None):
        raise UsageError("an exam in memory has its series and its times; choose it in read_exam")
    with stage_printer(quiet=progress is not True) as shown:
        stages = Stages(progress if callable(progress) else shown)
        if isinstance(exam, Exam):
            return Results.of(analyse(exam, choices, stages))
        return Results.of(run_exam(as_path(exam), choices, stages))


def find_arteries(
    preprocessed: Preprocessed,
    *,
    aif: Sequence[int] | None = None,
    vof: Sequence[int] | None = None,
) -> Arteries:
    """Choose the arterial input and the venous output function.

    Parameters
    ----------
    preprocessed : of `bolus.preprocess`.
    aif, vof : voxel (x, y, z), instead of the automatic choice.

    Returns
    -------
    Arteries
        ``input_hu`` (N,) on ``preprocessed.grid_s``, scaled for partial volume, HU.

    Raises
    ------
    NoPerfusion
        There is no artery.
    UsageError
        A voxel lies outside the brain.
    """
    return find_in(
        preprocessed.exam,
        preprocessed.baseline,
        preprocessed.tissue,
        preprocessed.grid_s,
        aif_voxel=_voxel("aif", aif),
        vof_voxel=_voxel("vof", vof),
        moved_mm=preprocessed.motion.largest_mm,
    )


def deconvolve(
    curves: Preprocessed | Curves | ArrayLike,
    aif: Arteries | ArrayLike,
    method: str = "bma",
    *,
    times_s: ArrayLike | None = None,
    mask: ArrayLike | None = None,
    spacing_mm: Sequence[float] | None = None,
) -> Maps:
    """Perfusion maps from tissue curves and an arterial input, of an exam or of any source.

    Flow is a ratio of tissue to artery, so arrays may be in HU or in any unit of concentration, as
    long as both are in the same; they are 0 before the bolus.  CBF and CBV are per 100 g of brain
    (density 1.05 g/ml, haematocrit 0.45 in arteries and 0.25 in capillaries).

    Parameters
    ----------
    curves : of `bolus.preprocess` (or its ``curves``; maps then have no geometry), or an array
        (V, T) or (..., T) of at most three more axes.
    aif : of `find_arteries`, or an array (T,).
    method : a deconvolution of `bolus.METHODS` (all but ``cnn``).
    times_s : (T,) s, for arrays.
    mask : of the arrays' shape without T, or the places of the V curves: which are mapped.
    spacing_mm : distance of voxels along the axes of the mask, of which ``bma`` makes
        neighbourhoods; without it, all curves are one.

    Returns
    -------
    Maps
        Arrays of the mask's shape, or of the curves' without T; 0 outside of the mask.

    Raises
    ------
    UsageError
        There is no such method, or the arrays don't fit together.
    ImplausibleValues
        Frames are too far apart to follow a bolus.
    NoPerfusion
        The arterial input has no area.

    Examples
    --------
    >>> import numpy as np, bolus
    >>> times_s = np.arange(0.0, 60.0, 1.5)
    >>> aif = 300 * np.maximum(times_s - 10, 0) ** 3 * np.exp(-np.maximum(times_s - 10, 0) / 1.5)
    >>> tissue = np.array([0.04, 0.02])[:, None] * np.interp(times_s - 4, times_s, aif)
    >>> maps = bolus.deconvolve(tissue, aif, "nlr", times_s=times_s)
    >>> float(np.round(maps.cbv[0] / maps.cbv[1], 1))
    2.0
    """
    check_name("deconvolution", method, tuple(METHODS))
    geometry = None
    if isinstance(curves, Preprocessed):
        geometry = curves.exam.geometry
        curves = curves.curves
    if isinstance(curves, Curves):
        if times_s is not None or mask is not None or spacing_mm is not None:
            raise UsageError("times_s, mask and spacing_mm are for arrays; these curves have them")
        return Maps.of(deconvolve_curves(method, curves, _input_hu(aif, curves)), geometry)
    if times_s is None:
        raise UsageError("give times_s, the times of the curves' last axis, s")
    if isinstance(aif, Arteries):
        raise UsageError("an array of curves needs an array of the same times as aif")
    steps = None
    if spacing_mm is not None:
        steps = _steps(spacing_mm, np.ndim(mask) if mask is not None else np.ndim(curves) - 1)
    made, input_hu = curves_of(curves, aif, times_s, mask, steps)
    maps = Maps.of(deconvolve_curves(method, made, input_hu))
    return _shaped(maps, np.shape(mask) if mask is not None else np.shape(curves)[:-1])


def predict(preprocessed: Preprocessed, *, model: PathLike | None = None) -> Prediction:
    """Maps by the network, without arterial input.

    Parameters
    ----------
    preprocessed : of `bolus.preprocess`.
    model : a user-supplied network instead of the built-in one.

    Returns
    -------
    Prediction
        ``maps`` with standard errors, and ``findings``: how the exam differs from the network's
        training.

    Raises
    ------
    DamagedFile
        The network can't be read, fails, or gives impossible values.
    """
    ready = preprocessed
    network = load_model(None if model is None else as_path(model))
    seen = sampled(ready.exam, ready.tissue, ready.measured, ready.curves, motion=ready.motion)
    found = predict_sampled(seen, network)
    return Prediction(Maps.of(found.maps, ready.exam.geometry), found.findings)


def measure_lesion(
    maps: types.Maps, tissue: Tissue, geometry: Geometry, preset: str = "calibrated"
) -> Lesion:
    """Core and penumbra, their volumes and the reference tissue.

    Parameters
    ----------
    maps : (Z, Y, X).
    tissue : ``preprocessed.tissue``, of the same shape.
    geometry : ``preprocessed.exam.geometry``.
    preset : one of `bolus.PRESETS`.

    Raises
    ------
    UsageError
        There is no such preset, or it needs a map that the method doesn't make.
    ImplausibleValues
        The maps hold impossible values.
    """
    check_name("preset", preset, PRESET_NAMES)
    if maps.cbf.shape != geometry.shape or tissue.brain.shape != geometry.shape:
        raise UsageError(
            f"maps {maps.cbf.shape} and masks {tissue.brain.shape} are not of the geometry's shape "
            f"{geometry.shape}"
        )
    return measure(maps, tissue, geometry, preset)


def load_results(folder: PathLike) -> Results:
    """Read a folder that ``bolus run`` or ``Results.save`` wrote.

    Maps and lesions are those of the run to the bit; numbers have the six digits of
    ``summary.json``.

    Raises
    ------
    NoReadableFiles, DamagedFile, BadGeometry
        The folder holds no results, or they are incomplete or damaged.
    """
    return Results.of(load_folder(as_path(folder)))


def compare(
    first: PathLike, second: PathLike, *, mask: PathLike | None = None, seed: int = 0
) -> Comparison:
    """Agreement of two sets of masks or maps, as ``bolus compare`` prints it.

    Parameters
    ----------
    first, second : NIfTI files, folders of them, or folders of results.
    mask : NIfTI file; maps are compared where it isn't 0.
    seed : of the bootstrap behind confidence intervals.

    Raises
    ------
    UsageError
        The extra ``study`` isn't installed, or a mask is paired with a map.
    NoReadableFiles, DamagedFile, BadGeometry
        A file is missing, can't be read, or does not overlap its partner.
    """
    from bolus.study.agreement.compare import compare as compare_paths

    return compare_paths(
        as_path(first), as_path(second), None if mask is None else as_path(mask), seed
    )


def _names(methods: str | Sequence[str]) -> tuple[str, ...]:
    if isinstance(methods, str):
        return (methods,)
    if not isinstance(methods, Iterable) or isinstance(methods, Set | bytes):
        raise UsageError(f"methods are a name or a list of names in their order, not {methods!r}")
    return tuple(dict.fromkeys(str(name) for name in methods))


def _series(series: str | int | None) -> str | None:
    return None if series is None else str(series)


def _voxel(option: str, voxel: Sequence[int] | None) -> Voxel | None:
    if voxel is None:
        return None
    try:
        x, y, z = (int(i) for i in voxel)
        if (x, y, z) != tuple(voxel):
            raise ValueError("no whole numbers")
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(
            f"{option} is a voxel (x, y, z) of three whole numbers, not {voxel!r}"
        ) from error
    return x, y, z


def _input_hu(aif: Arteries | ArrayLike, curves: Curves) -> Float64Array:
    if isinstance(aif, Arteries):
        return aif.input_hu
    values = np.asarray(aif, np.float64)
    if values.shape != curves.grid_s.shape or not np.isfinite(values).all():
        raise UsageError(
            f"aif has shape {values.shape}; give finite numbers at the {curves.grid_s.size} times "
            "of curves.grid_s"
        )
    return values


def _steps(spacing_mm: Sequence[float], axes: int) -> tuple[float, float, float]:
    """Of three axes, whatever number the mask has."""
    steps = [float(step) for step in spacing_mm]
    if len(steps) != axes or not all(0 < step < np.inf for step in steps):
        raise UsageError(f"spacing_mm gives a distance above 0 for each of {axes} axes")
    z, y, x = [1.0] * (3 - axes) + steps
    return z, y, x


def _shaped(maps: Maps, shape: tuple[int, ...]) -> Maps:
    def back(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            return value.reshape(shape)
        if isinstance(value, dict):
            return {key: back(one) for key, one in value.items()}
        return value

    return Maps(**{name: back(value) for name, value in vars(maps).items()})
