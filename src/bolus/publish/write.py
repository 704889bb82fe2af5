"""From results to files: the report, ``summary.json``, NIfTI maps and the arterial curves."""

from __future__ import annotations

import csv
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import StringIO
from pathlib import Path

import numpy as np

from bolus.errors import UsageError
from bolus.files.output_folder import check_output, staged
from bolus.publish.identity import deidentified
from bolus.publish.method_agreement import difference, pairs
from bolus.publish.summary import summary_json
from bolus.publish.voxels import write_voxels
from bolus.publish.windows import WINDOWS
from bolus.types import MAP_UNITS, Arteries, Float64Array, Geometry, MethodResult, Results

__all__ = ["check_output", "publish"]


def publish(results: Results, out: Path, *, deidentify: bool = False) -> None:
    """Write all results of a run into a folder, completely or not at all.

    ::

        OUT/report.html            for people
        OUT/summary.json           for programs
        OUT/curves.csv             AIF and VOF, HU over s, where there are any
        OUT/brain.nii.gz           uint8
        OUT/baseline.nii.gz        float32 HU, before the bolus; maximum.nii.gz at its maximum
        OUT/voxels.npz             curves of all voxels, for `bolus view`; without any, masks.npz
        OUT/<method>/cbf.nii.gz    float32; also cbv, mtt, tmax, ttp
        OUT/<method>/cbf_se.nii.gz float32 standard errors, where available
        OUT/<method>/delay.nii.gz  float32, where the method fits it
        OUT/<method>/lesion.nii.gz uint8: 0 none, 1 penumbra, 2 core
        OUT/<method>-minus-<first method>/cbf.nii.gz
                                   float32 differences of all five maps; 0 where one has no flow

    Maps, curves and lesions are the same bytes whenever the results are the same.

    Parameters
    ----------
    results : Results
    out : Path
        Missing, empty, or previous results, which are replaced as a whole at the very end.
    deidentify : bool
        Whether substitutes replace the exam's UIDs.

    Raises
    ------
    OutputError
        ``out`` holds something else, or the file system refuses; ``out`` is then untouched.
    UsageError
        There are no maps to write.
    """
    from bolus.publish.report.page import report_html  # slow to import

    if not results.methods:
        raise UsageError("these results hold no maps of any method, so there is nothing to save")
    check_output(out)
    start = time.perf_counter()
    if deidentify:
        results = replace(results, dicom_identity=deidentified(results.dicom_identity))
    with staged(out, check_output) as folder:
        # compression releases the interpreter, so it runs in parallel with the drawing
        with ThreadPoolExecutor(1) as pool:
            volumes = pool.submit(_write_volumes, results, folder)
            report = report_html(results)
        files = ["report.html", "summary.json"]
        if results.arteries is not None:
            text = _curves_csv(results.grid_s, results.arteries)
            (folder / "curves.csv").write_bytes(text.encode("ascii"))
            files.append("curves.csv")
        (folder / "report.html").write_text(report, encoding="utf-8", newline="\n")
        files = sorted([*volumes.result(), *files])
        timings_s = results.timings_s | {"report": time.perf_counter() - start}
        text = summary_json(replace(results, timings_s=timings_s), files)
        (folder / "summary.json").write_text(text, encoding="utf-8", newline="\n")


def _write_volumes(results: Results, folder: Path) -> list[str]:
    from bolus.publish.reference_images import image_volumes
    from bolus.volumes import nifti_bytes

    by = f"bolus {results.versions.get('bolus', '')}".strip()
    brain = results.tissue.brain.astype(np.uint8)
    contents = {"brain.nii.gz": nifti_bytes(brain, results.geometry, f"brain mask, {by}")}
    contents |= image_volumes(results, by)
    for name, method in results.methods.items():
        for key, content in method_volumes(results.geometry, method, f"{by} {name}").items():
            contents[f"{name}/{key}.nii.gz"] = content
    for pair in pairs(results):
        one, two = (results.methods[name].maps for name in (pair.first, pair.second))
        for key in MAP_UNITS:
            values = difference(one, two, key)
            contents[f"{pair.name}/{key}.nii.gz"] = nifti_bytes(
                values, results.geometry, f"{pair.name} {_label(key)} {MAP_UNITS[key]}, {by}"
            )
    for path, content in contents.items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)
    return [*contents, write_voxels(results, folder)]


def method_volumes(geometry: Geometry, method: MethodResult, by: str) -> dict[str, bytes]:
    """NIfTI files of one method's maps and lesion, by name without ``.nii.gz``."""
    from bolus.volumes import nifti_bytes

    contents = {}
    for key, unit in MAP_UNITS.items():
        values = np.asarray(getattr(method.maps, key), dtype=np.float32)
        label = _label(key)
        shown = WINDOWS[key].shown if key in WINDOWS else None
        contents[key] = nifti_bytes(values, geometry, f"{label} {unit}, {by}", shown)
        if key in method.maps.se:
            described = f"standard error of {label} {unit}, {by}"
            contents[f"{key}_se"] = nifti_bytes(method.maps.se[key], geometry, described)
    if method.maps.delay is not None:
        contents["delay"] = nifti_bytes(method.maps.delay, geometry, f"delay s, {by}")
    labels = np.asarray(method.lesion.labels, dtype=np.uint8)
    contents["lesion"] = nifti_bytes(labels, geometry, f"1 penumbra 2 core, {by}")
    return contents


def _label(key: str) -> str:
    return WINDOWS[key].label if key in WINDOWS else key.upper()


def _curves_csv(grid_s: Float64Array, arteries: Arteries) -> str:
    """RFC 4180: comma, dot, CRLF, a header line."""
    text = StringIO()
    writer = csv.writer(text)
    writer.writerow(("time_s", "aif_hu", "aif_scaled_hu", "vof_hu"))
    columns = (grid_s, arteries.aif.curve_hu, arteries.input_hu, arteries.vof.curve_hu)
    for row in zip(*columns, strict=True):
        writer.writerow([f"{value:.4f}" for value in row])
    return text.getvalue()
