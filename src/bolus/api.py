"""The steps of a run for those who call them from Python; `run` is all of them at once."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence, Set
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from bolus import types
from bolus.acquire.describe import Description
from bolus.acquire.describe import describe as describe_path
from bolus.acquire.exam import read_exam as read_path
from bolus.acquire.given_times import given_times
from bolus.acquire.in_memory import checked_exam
from bolus.arteries.find import find_arteries as find_in
from bolus.deconvolution.arrays import curves_of, input_on, shaped
from bolus.deconvolution.methods import METHODS
from bolus.deconvolution.methods import deconvolve as deconvolve_curves
from bolus.errors import UsageError
from bolus.infer.gather import sampled
from bolus.infer.model import load_model
from bolus.infer.predict import predict as predict_sampled
from bolus.lesion.measure import measure_lesion as measure
from bolus.lesion.presets import PRESET_NAMES
from bolus.options import METHOD_NAMES, Choices, check_name
from bolus.pipeline import analyse, run_exam
from bolus.preprocessing import Preprocessed, Progress, Stages
from bolus.publish.load import load_results as load_folder
from bolus.results import Maps, Prediction, Results, as_path
from bolus.terminal import stage_printer
from bolus.types import Arteries, Curves, Exam, Geometry, Lesion, Tissue, Voxel
from bolus.workers import check_threads

if TYPE_CHECKING:
    from bolus.study.agreement.compare import Comparison

PathLike = str | os.PathLike[str]
Times = PathLike | Iterable[float]


def describe(
    path: PathLike, *, series: str | int | None = None, interval_s: float | None = None,
    times: Times | None = None,
) -> Description:  # fmt: skip
    """Describe an exam without decoding its pixels, as ``bolus info`` prints it.

    Parameters
    ----------
    path, series, interval_s, times : see `read_exam`.

    Raises
    ------
    NoReadableFiles
        There is no such path, or nothing in it.
    """
    return describe_path(
        as_path(path), series=_series(series), given=given_times(interval_s, times)
    )


def read_exam(
    path: PathLike, *, series: str | int | None = None, interval_s: float | None = None,
    times: Times | None = None,
) -> Exam:  # fmt: skip
    """Read a CT perfusion exam.

    Parameters
    ----------
    path : folder, zip or tar of DICOM files, NIfTI with its JSON, or UniToBrain patient folder.
    series : SeriesInstanceUID, series number or key (`scan-2`), where there are several scans.
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
    return read_path(as_path(path), series=_series(series), given=given_times(interval_s, times))


def run(
    exam: PathLike | Exam, methods: str | Sequence[str] = "bma", *, preset: str = "calibrated",
    aif: Sequence[int] | None = None, vof: Sequence[int] | None = None,
    series: str | int | None = None, interval_s: float | None = None, times: Times | None = None,
    model: PathLike | None = None, progress: bool | Progress | None = False,
) -> Results:  # fmt: skip
    """From an exam to maps, lesions and verdicts, as ``bolus run`` does.

    Parameters
    ----------
    exam : a path as for `read_exam`, or an `Exam`: one that was read, or built from arrays.
    methods : one or several of `bolus.METHODS`.
    preset : thresholds of core and hypoperfused tissue, one of `bolus.PRESETS`.
    aif, vof : voxel (x, y, z) of the artery and the vein, instead of the automatic choice.
    series, interval_s, times : see `read_exam`.
    model : a user-supplied network for ``cnn``, as ``bolus train`` writes it.
    progress : True, or a function of a stage's name and its seconds.
        True shows the stages on standard error.  A function is called when a stage begins, with
        None for its seconds, and when it ends.

    Raises
    ------
    BolusError
        One of the tree in `bolus.errors`.

    Notes
    -----
    For many exams at once, start worker processes with ``multiprocessing.get_context("spawn")``:
    a process that is forked after the first computation can't use its threads, and is refused.
    """
    check_threads()
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
    if isinstance(exam, Exam):
        if series is not None or choices.given is not None:
            raise UsageError("an exam in memory has its series and times; choose it in read_exam")
        exam = checked_exam(exam)
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
    ready = _ready(preprocessed)
    return find_in(
        ready.exam,
        ready.baseline,
        ready.tissue,
        ready.grid_s,
        aif_voxel=_voxel("aif", aif),
        vof_voxel=_voxel("vof", vof),
        moved_mm=ready.motion.largest_mm,
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
    long as both are in the same; they are 0 before the bolus: what a voxel has then, the mean of
    those frames, is subtracted.  CBF and CBV are per 100 g of brain
    (density 1.05 g/ml, haematocrit 0.45 in arteries and 0.25 in capillaries).

    Parameters
    ----------
    curves : what `bolus.preprocess` returns, or an array (V, T).
        Also an array (..., T) of at most three more axes, or ``preprocessed.curves``, from which
        maps have no geometry.
    aif : of `find_arteries`, or an array (T,).
    method : a deconvolution of `bolus.METHODS` (all but ``cnn``).
    times_s : (T,) s, for arrays.
    mask : bool, of the arrays' shape without T.
        Which curves are mapped; or the places of the V curves.
    spacing_mm : distance of voxels along each axis of the mask, mm.
        ``bma`` learns the tissue's residue functions from neighbours; without it, all curves are
        one neighbourhood.

    Returns
    -------
    Maps
        Arrays of the mask's shape, or of the curves' without T; 0 outside of the mask.

    Raises
    ------
    UsageError
        There is no such method, the arrays don't fit together, or are not 0 before the bolus.
    ImplausibleValues
        Frames are too far apart to follow a bolus.
    NoPerfusion
        The arterial input has no area.

    Notes
    -----
    ``bma`` learns the shapes of residue functions from the curves, and a few, or noisy ones, don't
    show them.  Where all are box-shaped, as in many phantoms, its CBF is then up to 60 % too high
    at transit times of 4 to 5 s; from 200 curves of each transit time with little noise it is
    within 15 %.

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
    check_threads()
    check_name("deconvolution", method, tuple(METHODS))
    if isinstance(curves, Exam):
        curves = _ready(curves)  # refuses it
    geometry = None
    if isinstance(curves, Preprocessed):
        geometry = curves.exam.geometry
        curves = curves.curves
    if isinstance(curves, Curves):
        if times_s is not None or mask is not None or spacing_mm is not None:
            raise UsageError("times_s, mask and spacing_mm are for arrays; these curves have them")
        given = aif.input_hu if isinstance(aif, Arteries) else input_on(aif, curves.grid_s)
        return Maps.of(deconvolve_curves(method, curves, given), geometry)
    if times_s is None:
        raise UsageError("give times_s, the times of the curves' last axis, s")
    if isinstance(aif, Arteries):
        raise UsageError("an array of curves needs an array of the same times as aif")
    made, input_hu = curves_of(curves, aif, times_s, mask, spacing_mm)
    maps = Maps.of(deconvolve_curves(method, made, input_hu))
    return shaped(maps, np.shape(curves)[:-1] if mask is None else np.shape(mask))


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
    ready = _ready(preprocessed)
    network = load_model(None if model is None else as_path(model))
    seen = sampled(ready.exam, ready.tissue, ready.measured, ready.curves, motion=ready.motion)
    found = predict_sampled(seen, network)
    return Prediction(Maps.of(found.maps, ready.exam.geometry), found.findings)


def measure_lesion(
    maps: types.Maps | types.MethodResult,
    tissue: Tissue,
    geometry: Geometry,
    preset: str = "calibrated",
) -> Lesion:
    """Core and penumbra, their volumes and the reference tissue.

    Parameters
    ----------
    maps : (Z, Y, X), or the results of a method, ``results["bma"]``.
    tissue : ``preprocessed.tissue``, of the same shape.
    geometry : ``preprocessed.exam.geometry``.
    preset : one of `bolus.PRESETS`.

    Raises
    ------
    UsageError
        There is no such preset, it needs a map that the method doesn't make, or the maps are of
        no method of `bolus.METHODS`.
    ImplausibleValues
        The maps hold impossible values.
    """
    check_name("preset", preset, PRESET_NAMES)
    if isinstance(maps, types.MethodResult):
        maps = maps.maps
    for what, given, wanted in (
        ("maps", maps, types.Maps), ("tissue", tissue, Tissue), ("geometry", geometry, Geometry)
    ):  # fmt: skip
        if not isinstance(given, wanted):
            raise UsageError(f"{what} is a bolus.{wanted.__name__}, not {type(given).__name__}")
    check_name("method", maps.method, METHOD_NAMES)
    if maps.cbf.shape != geometry.shape or tissue.brain.shape != geometry.shape:
        raise UsageError(
            f"maps {maps.cbf.shape} and masks {tissue.brain.shape} are not of the geometry's shape "
            f"{geometry.shape}"
        )
    return measure(maps, tissue, geometry, preset)


def load_results(folder: PathLike) -> Results:
    """Read a folder that ``bolus run`` or ``Results.save`` wrote.

    Maps, masks and lesion labels are those of the run to the bit.  Volumes and other numbers have
    the six significant digits of ``summary.json``, curves of vessels four decimals, curves of
    voxels half precision (three digits); the residual of each frame's motion is not kept.

    Raises
    ------
    NoReadableFiles, DamagedFile, BadGeometry
        The folder holds no results, they are incomplete or damaged, or only a newer version of
        bolus can read them.
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


def _ready(preprocessed: object) -> Preprocessed:
    if not isinstance(preprocessed, Preprocessed):
        raise UsageError(
            f"give what bolus.preprocess(exam) returns, not {type(preprocessed).__name__}"
        )
    return preprocessed


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
