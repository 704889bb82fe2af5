"""The ``bolus`` command: arguments in, exit code out.  What is computed lives elsewhere.

Imports that take time happen inside the commands, so that ``bolus --help`` answers at once.
"""

from __future__ import annotations

import errno
import json
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import App, CycloptsError, Parameter

from bolus import __version__
from bolus.cli import compare, dataset, simulate, study, train, view
from bolus.errors import BolusError, UsageError
from bolus.plain_text import RESEARCH_USE, one_line, short

if TYPE_CHECKING:
    from bolus.preprocessing import Progress
    from bolus.results import Results
    from bolus.types import Voxel

MethodName = Literal["nlr", "bma", "ssvd", "bsvd", "osvd", "tikhonov", "cnn"]
PresetName = Literal[
    "calibrated", "rapid", "campbell", "cereda", "bivard", "syngo", "mistar", "wintermark"
]  # fmt: skip

EPILOGUE = f"""
Exit codes: 0 success; 1 internal error of bolus; 2 wrong usage; 3 no CT perfusion exam found; 4
damaged or incomplete exam; 5 no bolus, brain or artery in the exam; 6 results can't be written;
130 interrupted.

{RESEARCH_USE}.
"""

app = App(
    name="bolus",
    version=__version__,
    suppress_keyboard_interrupt=False,
    help="Perfusion maps of the brain from a CT perfusion exam." + EPILOGUE,
)


@app.command
def run(
    exam: Path,
    *,
    out: Annotated[Path, Parameter(name=["--out", "-o"])],
    method: Annotated[tuple[MethodName, ...], Parameter(name=["--method", "-m"], negative=())] = (
        "bma",
    ),
    preset: PresetName = "calibrated",
    aif: str | None = None,
    vof: str | None = None,
    series: str | None = None,
    interval: float | None = None,
    times: Path | None = None,
    model: Path | None = None,
    deidentified: Annotated[bool, Parameter(negative=())] = False,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Make maps, lesion volumes and a report.

    Parameters
    ----------
    exam
        Folder, zip or tar of DICOM files, NIfTI with its JSON, or UniToBrain patient folder.
    out
        Folder for the results, written completely or not at all. Previous results are replaced,
        anything else is left untouched.
    method
        Deconvolution method, or the network, "cnn"; repeat the option to compare several.
    preset
        Thresholds of core and hypoperfused tissue: "calibrated" for each method on simulated
        exams, or as published for other software.
    aif
        Voxel x,y,z of the artery, instead of the automatic choice.
    vof
        Voxel x,y,z of the vein, instead of the automatic choice.
    series
        SeriesInstanceUID, series number or key (`scan-2`) where there are several perfusion scans.
    interval
        Seconds between frames, where the files have no times or wrong ones.
    times
        Text file with the time of each frame in seconds, instead of --interval.
    model
        A user-supplied network for "cnn", as written by `bolus train`, instead of the built-in one.
    deidentified
        Write hashes instead of the UIDs of study, series and frame of reference, which could
        identify the patient within the hospital.
    quiet
        Print nothing but errors.
    """
    if str(out) == ".":
        raise UsageError(
            "--out is empty or the current folder; give a separate folder for the results"
        )
    from bolus import api
    from bolus.files.output_folder import check_output
    from bolus.preprocessing import Stages
    from bolus.terminal import stage_printer

    voxels = {"aif": _voxel("--aif", aif), "vof": _voxel("--vof", vof)}
    check_output(out)
    with stage_printer(quiet) as shown:
        progress = _unless_interrupted(shown)
        results = api.run(
            exam,
            method,
            preset=preset,
            series=series,
            interval_s=interval,
            times=times,
            model=model,
            progress=progress,
            **voxels,
        )
        with Stages(progress)("report"):
            results.save(out, deidentified=deidentified)
    if not quiet:
        _print_results(results, out)


@app.command
def info(
    exam: Path,
    *,
    series: str | None = None,
    interval: float | None = None,
    times: Path | None = None,
    as_json: Annotated[bool, Parameter(name="--json", negative=())] = False,
) -> None:
    """Describe an exam without processing it: series, geometry, times, problems.

    Parameters
    ----------
    exam
        Folder, zip or tar of DICOM files, NIfTI, or UniToBrain patient folder.
    series
        SeriesInstanceUID, series number or key (`scan-2`) where there are several perfusion scans.
    interval
        Seconds between frames, where the files have no times or wrong ones.
    times
        Text file with the time of each frame in seconds, instead of --interval.
    as_json
        Print JSON for programs instead of text.
    """
    from bolus.acquire.describe import describe
    from bolus.acquire.given_times import given_times
    from bolus.terminal import file_counter, print_description

    given = given_times(interval, times)
    with file_counter() as seen:
        description = describe(exam, series=series, given=given, seen=seen)
    if as_json:
        print(json.dumps(description.to_dict(), indent=2, sort_keys=True))
    else:
        print_description(description)
    if description.error:
        raise SystemExit(description.error.exit_code)


@app.command
def demo(
    out: Path = Path("bolus-demo"),
    *,
    quiet: Annotated[bool, Parameter(name=["--quiet", "-q"], negative=())] = False,
) -> None:
    """Create the built-in exam, a simulated stroke, and analyse it.

    Parameters
    ----------
    out
        Folder for the exam (OUT/exam.zip), its truth (OUT/truth) and the results (OUT/results).
    quiet
        Print nothing but errors.
    """
    from bolus.simulate.demo import write_demo
    from bolus.terminal import stage_printer

    with stage_printer(quiet) as progress:
        start = time.perf_counter()
        progress("simulate", None)
        made = write_demo(out)
        progress("simulate", time.perf_counter() - start)
    run(made.exam, out=out / "results", method=("nlr", "cnn"), quiet=quiet)
    if not quiet:
        print(
            f"truth     core {made.core_ml:.1f} ml, hypoperfused {made.hypoperfused_ml:.1f} ml "
            "(of this simulated exam)"
        )


app.command(simulate.simulate)
app.command(dataset.dataset)
app.command(train.train)
app.command(study.study)
app.command(compare.compare)
app.command(view.view)


def _voxel(option: str, text: str | None) -> Voxel | None:
    if text is None:
        return None
    parts = text.replace(" ", "").split(",")
    if len(parts) != 3 or not all(p.isascii() and p.isdigit() for p in parts):
        raise UsageError(f"{option} takes a voxel as x,y,z (three whole numbers), not '{text}'")
    x, y, z = (int(p) for p in parts)
    return x, y, z


def _print_results(results: Results, out: Path) -> None:
    from bolus.results import lesion_line

    for name in results:
        print(lesion_line(name, results[name].lesion))
    print(f"quality   {results.verdict}")
    print(f"report    {out / 'report.html'}")
    print(f"{RESEARCH_USE}.")


_interrupted = False


def _interrupt(number: int, frame: FrameType | None) -> None:
    global _interrupted
    _interrupted = True
    raise KeyboardInterrupt


def _unless_interrupted(progress: Progress) -> Progress:
    """Stop at the next stage if a library suppressed the interruption, as callbacks from C do."""

    def show(stage: str, seconds: float | None) -> None:
        if _interrupted and seconds is None:
            raise KeyboardInterrupt
        progress(stage, seconds)

    return show


def _stop_tidily() -> None:
    """End as after Ctrl-C also when a service manager, a container or a closed terminal asks."""
    signal.signal(signal.SIGINT, _interrupt)
    signal.signal(signal.SIGTERM, _interrupt)
    # Windows has no SIGHUP; under nohup, closing the terminal must end nothing
    if os.name != "nt" and signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        signal.signal(signal.SIGHUP, _interrupt)


def main() -> None:
    """Run the command line; each kind of failure has its own exit code."""
    _stop_tidily()
    try:
        app(exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"bolus: {one_line(str(error))}", file=sys.stderr)
        sys.exit(UsageError.exit_code)
    except BolusError as error:
        print(f"bolus: {error}", file=sys.stderr)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        print("bolus: interrupted; nothing half-written is left", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        # the reader of the output has left; the work is done
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.errno not in (errno.ENAMETOOLONG, errno.ELOOP):
            raise
        where = short(str(error.filename))
        print(f"bolus: {where}: {error.strerror}; name another file or folder", file=sys.stderr)
        sys.exit(UsageError.exit_code)
