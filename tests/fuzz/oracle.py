"""Whether what came of a hostile input is allowed."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from attack import Allowed, Attack
from untouched import as_read

from bolus.acquire.describe import Description, describe
from bolus.acquire.exam import read_exam
from bolus.errors import BolusError, DamagedFile, ImplausibleValues, NoReadableFiles
from bolus.plain_text import one_line, printable
from bolus.terminal import print_description
from bolus.types import Exam, Grade

REFUSED, SAME, NOTED, CHANGED = "refused", "same", "noted", "changed"
OUTCOMES = (REFUSED, SAME, NOTED, CHANGED)
"""A named error; accepted with the same content; with a finding; changed without one."""
LONGEST_MESSAGE = 1500
"""Signs, besides the path: a message is to be read."""
CLOSE_MM, CLOSE_S, CLOSE_HU = 0.05, 1e-5, 1e-3
LARGEST_HU = 1e5
"""No CT gives more."""


class Fault(Exception):
    """What bolus must never do with any input."""


def judge(attack: Attack) -> str:
    """Read and describe an input; one of `OUTCOMES`.

    Raises
    ------
    Fault
        What came of it isn't allowed.
    Exception
        Whatever got out of bolus.
    """
    described, words = _describe(attack.path)
    try:
        exam = read_exam(attack.path)
    except BolusError as error:
        check_message(str(error), attack.path)
        _same_error(described, words, error)
        if attack.allowed is Allowed.SAME:
            raise Fault(f"refused: {error}") from error
        return REFUSED
    _check_exam(exam)
    if described is None or described.error:
        raise Fault(f"read, but described as unusable: {described and described.error}")
    shown = described.geometry
    if shown is None or not np.array_equal(shown.affine, exam.geometry.affine):
        raise Fault("described with another geometry than it is read with")
    return _outcome(exam, attack)


def _describe(path: Path) -> tuple[Description | None, str]:
    try:
        found = describe(path)
    except NoReadableFiles as error:
        check_message(str(error), path)
        return None, str(error)
    json.dumps(found.to_dict(), allow_nan=False).encode("utf-8")
    out = StringIO()
    with redirect_stdout(out):
        print_description(found)
    text = out.getvalue().replace(str(path), "")
    _check_text("the description", text.replace("\n", " "), most=10_000)
    text.encode("utf-8")
    if found.error:
        check_message(str(found.error), path)
    return found, ""


def _same_error(described: Description | None, words: str, error: BolusError) -> None:
    if described is None:
        if not isinstance(error, NoReadableFiles):
            raise Fault(f"described as {words!r}, read as {error!r}")
    elif described.error is None:
        if not isinstance(error, DamagedFile | ImplausibleValues):
            raise Fault(f"described as usable, but refused without its pixels: {error!r}")
    elif type(described.error) is not type(error):
        raise Fault(f"described as {described.error!r}, read as {error!r}")


def check_message(message: str, path: Path) -> None:
    """One printable line of reasonable length that names the input and nobody."""
    if not any(name in printable(message) for name in _names(path)):
        raise Fault(f"names neither the input nor a file of it: {message!r}")
    for own in (str(path), path.name):
        message = message.replace(own, "") if own else message
    _check_text("the message", message, LONGEST_MESSAGE)


def _check_text(what: str, text: str, most: int) -> None:
    if not text.isprintable():
        raise Fault(f"{what} is not printable: {text!r}")
    if len(text) > most:
        raise Fault(f"{what} has {len(text)} signs: {text[:200]!r}")
    for word in ("SECRET", "Traceback", 'File "'):
        if word in text:
            raise Fault(f"{what} holds {word!r}: {text!r}")


def _names(path: Path) -> Iterator[str]:
    """Names of which a message must hold one."""
    yield from (one_line(path.name) or str(path), one_line(str(path)))
    try:
        if path.is_dir():
            for _, folders, files in os.walk(path):
                yield from map(printable, (*folders, *files))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                for name in archive.namelist():
                    yield printable(name.replace("\\", "/").rstrip("/").rpartition("/")[2]) or "zip"
        yield printable(path.name.split(".nii")[0])
    except Exception:  # a path that can't be looked at, a zip that can't be opened
        return


def _check_exam(exam: Exam) -> None:
    frames, times_s, affine = exam.frames, exam.times_s, exam.geometry.affine
    for what, values in (("frames", frames), ("times", times_s), ("geometry", affine)):
        if not np.isfinite(values).all():
            raise Fault(f"{what} of an accepted exam hold NaN or infinity")
    if frames.shape != (*times_s.shape[:1], *exam.geometry.shape):
        raise Fault(f"frames of the shape {frames.shape} in a geometry of {exam.geometry.shape}")
    if frames.shape[:2] != times_s.shape or len(times_s) < 8:
        raise Fault(f"frames of the shape {frames.shape} at times of the shape {times_s.shape}")
    if not (np.diff(times_s, axis=0) > 0).all():
        raise Fault("times of an accepted exam don't increase")
    if frames.min() < -1024 or frames.max() > LARGEST_HU:
        raise Fault(f"an accepted exam has {frames.min():g} to {frames.max():g} HU")
    for finding in exam.findings:
        _check_text(f"finding {finding.code}", finding.message + finding.remedy, LONGEST_MESSAGE)
    texts = (exam.scanner.manufacturer, exam.scanner.model, exam.scanner.kernel)
    for text in (*texts, *exam.dicom_identity.values()):
        _check_text("the scanner or an identity", text, LONGEST_MESSAGE)
    for number in (exam.scanner.kvp, exam.scanner.exposure_mas, exam.scanner.slice_thickness_mm):
        if number is not None and not np.isfinite(number):
            raise Fault(f"the scanner has a number that is none: {number}")


def _outcome(exam: Exam, attack: Attack) -> str:
    if _same(exam, as_read(attack.source)):
        return SAME
    graded = sorted(f.code for f in exam.findings if f.grade >= Grade.WARNING)
    if attack.allowed is Allowed.SAME:
        raise Fault(f"its content changed, and its findings are {graded}")
    if graded:
        return NOTED
    if attack.allowed is Allowed.NOTICED:
        raise Fault(f"its content changed, and no finding says so: {difference(exam, attack)}")
    return CHANGED


def _same(exam: Exam, truth: Exam) -> bool:
    """Whether an exam has the content of another, but perhaps for its first or last frame.

    A frame at the edge that lacks a slice is left out as with every moving table.
    """
    lost = len(truth.frames) - len(exam.frames)
    if lost not in (0, 1) or exam.geometry.shape != truth.geometry.shape:
        return False
    if not np.allclose(exam.geometry.affine, truth.geometry.affine, atol=CLOSE_MM, rtol=0):
        return False
    for part in (slice(0, len(exam.frames)), slice(lost, None)):
        times_s = truth.times_s[part] - truth.times_s[part].min()
        if np.allclose(exam.times_s, times_s, atol=CLOSE_S, rtol=0) and np.allclose(
            exam.frames, truth.frames[part], atol=CLOSE_HU, rtol=0
        ):
            return True
    return False


def difference(exam: Exam, attack: Attack) -> str:
    """How an exam differs from the untouched one, in a line."""
    truth = as_read(attack.source)
    if exam.frames.shape != truth.frames.shape:
        return f"its shape is {exam.frames.shape}, not {truth.frames.shape}"
    hu = np.abs(exam.frames - truth.frames)
    return (
        f"{np.count_nonzero(hu > CLOSE_HU)} values by up to {hu.max():g} HU, times by up to "
        f"{np.abs(exam.times_s - truth.times_s).max():g} s, geometry by up to "
        f"{np.abs(exam.geometry.affine - truth.geometry.affine).max():g} mm"
    )


def judge_changing(attack: Attack) -> str:
    """As `judge`, for files that change meanwhile: two looks at them may differ."""
    try:
        _describe(attack.path)
        exam = read_exam(attack.path)
    except BolusError as error:
        _check_text("the message", str(error).replace(str(attack.path), ""), LONGEST_MESSAGE)
        return REFUSED
    _check_exam(exam)
    return _outcome(exam, attack)
