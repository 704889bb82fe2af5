"""A case as found by its layout, completed by an inspection of its files."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from bolus.acquire.nifti_exam import is_nifti
from bolus.dataset.index import Case
from bolus.dataset.inspect_exam import ExamFacts, exam_facts
from bolus.dataset.maps import axes_onto, open_map, place_images
from bolus.errors import BolusError, UsageError
from bolus.publish.identity import substitute_uids
from bolus.types import Finding, Geometry, Grade


@dataclass(frozen=True)
class FoundCase:
    """Names and paths only; no file has been opened yet."""

    name: str
    patient: str
    exam: Path
    maps: dict[str, Path] = field(default_factory=dict)
    truth: Path | None = None
    raw: Path | None = None
    findings: tuple[Finding, ...] = ()
    series: str = ""
    """SeriesInstanceUID of the maps' source, where they state it."""
    needs_maps: bool = True
    protocols: dict[int, int] = field(default_factory=dict)
    """Slices by frames of the data set's protocols; empty where any size is allowed."""


def inspect_case(found: FoundCase, root: Path) -> Case:
    """Open an exam's headers and first frame, and compare its maps with it."""
    try:
        seen = exam_facts(found.exam)
    except BolusError as error:
        return _case(found, None, (*found.findings, unreadable(error)))
    findings = (*found.findings, *seen.findings, *_of_protocol(found, seen))
    return _case(found, seen, (*findings, *_of_maps(found, seen, root)))


def _case(found: FoundCase, seen: ExamFacts | None, findings: tuple[Finding, ...]) -> Case:
    return Case(
        name=found.name,
        patient=found.patient,
        exam=found.exam,
        maps=found.maps,
        truth=found.truth,
        frames=seen.frames if seen else 0,
        slices=seen.geometry.shape[0] if seen else 0,
        findings=findings,
        raw=found.raw,
        content=seen.content if seen else (),
        study=seen.study if seen else "",
    )


def unreadable(error: BolusError) -> Finding:
    """Why an exam can't be used, without the names of its files, which can be those of patients."""
    kind = (type(error).__doc__ or type(error).__name__).splitlines()[0]
    return Finding("exam-unreadable", Grade.FAIL, kind, "`bolus info EXAM` shows details.")


def within(root: Path, message: str) -> str:
    """A message without the path of the data set on this machine."""
    return message.replace(f"{root}/", "")


def _of_protocol(found: FoundCase, seen: ExamFacts) -> list[Finding]:
    if not found.protocols:
        return []
    usual, slices = found.protocols.get(seen.frames), seen.geometry.shape[0]
    if usual is None:
        known = " or ".join(map(str, found.protocols))
        message = f"The exam has {seen.frames} frames; the data set's protocols have {known}."
        return [Finding("frames-unusual", Grade.WARNING, message)]
    if slices != usual:
        message = f"The exam has {slices} slices; {usual} are usual with {seen.frames} frames."
        return [Finding("slices-unusual", Grade.NOTE, message)]
    return []


def _of_maps(found: FoundCase, seen: ExamFacts, root: Path) -> list[Finding]:
    findings = [f for name in found.maps for f in grid_findings(found, name, seen.geometry, root)]
    if not found.maps and found.needs_maps:
        findings.append(
            Finding("maps-missing", Grade.FAIL, "There are no maps for this exam.", _MAKE_MAPS)
        )
    if (
        found.series
        and seen.series
        and found.series not in (seen.series, substitute_uids(seen.series))
    ):
        message = "The results were computed from another series than the one in this exam."
        findings.append(Finding("maps-of-another-exam", Grade.FAIL, message, _MAKE_MAPS))
    return findings


def grid_findings(
    found: FoundCase | Case, name: str, geometry: Geometry, root: Path
) -> list[Finding]:
    """Whether a map lies on the slices of its exam, from headers."""
    path = found.maps[name]
    try:
        if is_nifti(path):
            with open_map(path) as image:
                axes_onto(image, geometry, path.name)
            return []
        placed = place_images(path, geometry)
    except BolusError as error:
        return [Finding("map-unusable", Grade.FAIL, within(root, str(error)))]
    lost = sorted(set(range(geometry.shape[0])) - set(placed.images) - set(placed.ambiguous))
    findings = []
    if not placed.images:
        message = f"No image of {path.name} lies on a slice of its exam."
        return [Finding("map-unusable", Grade.FAIL, message)]
    if placed.elsewhere:
        message = (
            f"{placed.elsewhere} of the {len(placed.files)} images of {path.name} lie on no slice "
            "of the exam and are not used."
        )
        findings.append(Finding("map-slices-extra", Grade.WARNING, message))
    if placed.ambiguous:
        message = f"{path.name} has two different images for slices {_list(placed.ambiguous)}."
        findings.append(Finding("map-slices-ambiguous", Grade.WARNING, message, _NAN))
    if lost:
        message = f"{path.name} has no image for {len(lost)} slices of the exam ({_list(lost)})."
        findings.append(Finding("map-slices-missing", Grade.WARNING, message, _NAN))
    return findings


def _list(numbers: list[int] | tuple[int, ...]) -> str:
    return ", ".join(map(str, numbers))


def entries(folder: Path) -> list[Path]:
    """The folder's entries sorted by name, without hidden ones.

    Raises
    ------
    UsageError
        If the folder can't be listed.
    """
    try:
        return sorted(p for p in folder.iterdir() if not p.name.startswith("."))
    except OSError as error:
        raise UsageError(
            f"{folder}: is not a folder that can be listed ({error.strerror})."
        ) from error


_MAKE_MAPS = "Make maps with `bolus run --method nlr`."
_NAN = "read_maps gives NaN there."
