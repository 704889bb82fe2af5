"""Whatever a network of one's own does ends in one error that names its file."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from made_slab import a_slab
from onnx import ModelProto, TensorProto
from small_network import cast, large, node, slow, small_network

from bolus.errors import BolusError, DamagedFile, ImplausibleValues
from bolus.infer import session as onnx_session
from bolus.infer.features import Sampled
from bolus.infer.model import Model, load_model
from bolus.infer.predict import predict
from bolus.infer.session import SessionApart
from bolus.simulate.nifti import write_exam
from bolus.simulate.truth import Truth
from bolus.types import MAP_UNITS, Exam


@pytest.fixture(scope="module")
def slab() -> Sampled:
    return a_slab(slices=2)


@pytest.fixture
def written(tmp_path: Path) -> Callable[[ModelProto], Path]:
    def write(model: ModelProto) -> Path:
        path = tmp_path / "mine.onnx"
        path.write_bytes(model.SerializeToString())
        return path

    return write


def process_of(model: Model) -> int:
    assert isinstance(model.session, SessionApart)
    return model.session._child.pid


def refused(path: Path, slab: Sampled, words: str) -> None:
    with pytest.raises(DamagedFile, match=words) as failed:
        predict(slab, load_model(path))
    assert path.name in str(failed.value)
    assert "bolus train" in str(failed.value)
    assert len(str(failed.value).splitlines()) == 1


def test_a_copy_of_the_built_in_network_gives_the_same_bytes_in_its_own_process(
    slab: Sampled, tmp_path: Path
) -> None:
    copy = tmp_path / "copy.onnx"
    copy.write_bytes(files("bolus.infer").joinpath("weights.onnx").read_bytes())
    mine = load_model(copy)
    assert isinstance(mine.session, SessionApart)
    here, apart = predict(slab, load_model()).maps, predict(slab, mine).maps
    for name in MAP_UNITS:
        assert getattr(apart, name).tobytes() == getattr(here, name).tobytes()
        assert apart.se[name].tobytes() == here.se[name].tobytes()
    assert apart.parameters == here.parameters


def test_the_process_ends_with_the_model(written: Callable[[ModelProto], Path]) -> None:
    model = load_model(written(small_network()))
    process = process_of(model)
    os.kill(process, 0)
    del model
    with pytest.raises(ProcessLookupError):  # nor is it a zombie, which could be signalled
        os.kill(process, 0)


@pytest.mark.parametrize("made", ["maps", "spread"])
@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_outputs_that_are_no_numbers_are_not_clipped_but_refused(
    made: str, value: float, slab: Sampled, written: Callable[[ModelProto], Path]
) -> None:
    """In one voxel of one map as everywhere."""
    corrupted = np.zeros((1, 5, 32, 32), np.float32)
    corrupted[0, 2, 9, 9] = value
    start = "good" if made == "maps" else "sure"
    network = small_network([node("Add", start, "corrupted", to=made)], {"corrupted": corrupted})
    refused(written(network), slab, "not finite")


@pytest.mark.parametrize("channel", range(5))
@pytest.mark.parametrize("value", [3e38, -3e38, 20_000, -20_000])
def test_maps_beyond_all_that_can_be_are_not_clipped_but_refused(
    channel: int, value: float, slab: Sampled, written: Callable[[ModelProto], Path]
) -> None:
    beyond = np.zeros((1, 5, 1, 1), np.float32)
    beyond[0, channel] = value
    network = small_network([node("Add", "good", "beyond", to="maps")], {"beyond": beyond})
    refused(written(network), slab, list(MAP_UNITS)[channel].upper())


@pytest.mark.parametrize("factor", [0, -1, 3e37])
def test_standard_errors_that_can_not_be_are_refused(
    factor: float, slab: Sampled, written: Callable[[ModelProto], Path]
) -> None:
    network = small_network([node("Mul", "sure", "f", to="spread")], {"f": np.float32([factor])})
    refused(written(network), slab, "standard errors of CBF")


def test_a_little_noise_below_zero_is_cut_off(
    slab: Sampled, written: Callable[[ModelProto], Path]
) -> None:
    network = small_network([node("Sub", "good", "some", to="maps")], {"some": np.float32([5])})
    maps = predict(slab, load_model(written(network))).maps
    assert (maps.cbf[slab.voxels] > 0).all()
    assert (maps.mtt[slab.voxels] > 0).all()


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("name", ["curves_hu", "area_hu", "times_s"])
def test_curves_that_are_no_numbers_are_not_blamed_on_the_network(
    name: str, value: float, slab: Sampled
) -> None:
    values = getattr(slab, name).copy()
    values[7] = value
    with pytest.raises(ImplausibleValues, match="the exam's curves or times"):
        predict(replace(slab, **{name: values}), load_model())


def test_the_built_in_network_is_to_blame_if_it_is_damaged(
    slab: Sampled, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    network = small_network([node("Mul", "good", "no", to="maps")], {"no": np.float32([np.nan])})
    (tmp_path / "weights.onnx").write_bytes(network.SerializeToString())
    monkeypatch.setattr("bolus.infer.model.files", lambda _: tmp_path)
    with pytest.raises(DamagedFile, match=r"the built-in network .* Reinstall bolus"):
        predict(slab, load_model())


FAILING = {
    "reshape": [node("Reshape", "good", "seven", to="maps")],
    "gather": [node("Gather", "good", "far", to="maps", axis=1)],
    "rows doubled": [node("Tile", "good", "twice", to="maps")],
    "rows by content": [
        node("ReduceMax", "pixels", to="rows", axes=[0, 1, 3], keepdims=0),
        node("Greater", "rows", "half", to="kept"),
        node("Compress", "good", "kept", to="maps", axis=2),
    ],
}  # fmt: skip
NUMBERS = {
    "seven": np.array([1, 5, -1, 7]),
    "far": np.array([0, 1, 2, 3, 99]),
    "twice": np.array([1, 1, 2, 1]),
    "half": np.float32(0.5),
}


@pytest.mark.parametrize("kind", FAILING)
def test_a_network_that_fails_in_use_is_named(
    kind: str, slab: Sampled, written: Callable[[ModelProto], Path]
) -> None:
    refused(
        written(small_network(FAILING[kind], NUMBERS)),
        slab,
        "another shape" if "rows" in kind else "fails in use",
    )


@pytest.mark.parametrize("kind", ["double", "no shape", "one axis"])
def test_outputs_of_another_kind_are_refused_at_once(
    kind: str, written: Callable[[ModelProto], Path]
) -> None:
    if kind == "double":
        network = small_network([cast("good", "maps", TensorProto.DOUBLE)])
        network.graph.output[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    elif kind == "no shape":
        # the number of axes depends on the content
        axes = [
            node("Shape", "good", to="all"),
            node("ReduceMax", "good", to="each", axes=[0, 2, 3], keepdims=0),
            node("Greater", "each", "half", to="kept"),
            node("Compress", "all", "kept", to="some"),
            node("Reshape", "good", "some", to="maps"),
        ]
        network = small_network(axes, NUMBERS)
        network.graph.output[0].type.tensor_type.ClearField("shape")
    else:
        network = small_network([node("ReduceMax", "good", to="maps", axes=[0, 2, 3], keepdims=0)])
        del network.graph.output[0].type.tensor_type.shape.dim[1:]
    path = written(network)
    with pytest.raises(DamagedFile, match=r"mine\.onnx .* other outputs"):
        load_model(path)


def test_a_network_that_crashes_its_process_is_named(
    slab: Sampled, written: Callable[[ModelProto], Path]
) -> None:
    """The processor can't divide the least whole number by -1."""
    network = small_network(
        [
            cast("good", "whole", TensorProto.INT64),
            node("Sub", "whole", "whole", to="zero"),
            node("Add", "zero", "least", to="leasts"),
            node("Div", "leasts", "minus", to="quotient"),
            cast("quotient", "maps", TensorProto.FLOAT),
        ],
        {"least": np.array([-(2**63)]), "minus": np.array([-1])},
    )
    refused(written(network), slab, "it crashed")


@pytest.mark.parametrize("start", ["good", "constant"])
def test_a_network_that_asks_for_100_gb_is_named(
    start: str, slab: Sampled, written: Callable[[ModelProto], Path]
) -> None:
    """Constants are worked out as the file is loaded, the rest in use."""
    nodes, numbers = large(start)
    network = small_network(nodes, {**numbers, "constant": np.float32([1])})
    refused(written(network), slab, "too much memory")


@pytest.mark.parametrize("start", ["good", "constant"])
def test_a_network_that_takes_for_ever_is_ended(
    start: str,
    slab: Sampled,
    written: Callable[[ModelProto], Path],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(onnx_session, "LOAD_TIMEOUT_S", 4)
    monkeypatch.setattr(onnx_session, "RUN_TIMEOUT_S", 1)
    nodes, numbers = slow(3000, start)
    path = written(small_network(nodes, {**numbers, "constant": np.float32([0])}))
    began = time.monotonic()
    refused(path, slab, f"it took longer than {1 if start == 'good' else 4} s")
    assert time.monotonic() - began < 10


def test_a_process_that_is_killed_or_stopped_is_one_error(
    slab: Sampled, written: Callable[[ModelProto], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx_session, "RUN_TIMEOUT_S", 1)
    for sent, words in ((signal.SIGKILL, "it crashed"), (signal.SIGSTOP, "longer than 1 s")):
        model = load_model(written(small_network()))
        os.kill(process_of(model), sent)
        for _ in range(2):
            with pytest.raises(DamagedFile, match=r"mine\.onnx"):
                predict(slab, model)
        again = load_model(written(small_network()))
        os.kill(process_of(again), sent)
        with pytest.raises(DamagedFile, match=words):
            predict(slab, again)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with names on this system")
def test_only_regular_files_are_read(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.onnx"
    os.mkfifo(pipe)
    for path in (pipe, Path("/dev/zero")):
        with pytest.raises(BolusError, match="not a regular file"):
            load_model(path)


def test_a_run_with_a_broken_network_says_so_in_one_line_and_leaves_nothing(
    small: tuple[Exam, Truth], written: Callable[[ModelProto], Path], tmp_path: Path
) -> None:
    network = small_network([node("Mul", "good", "no", to="maps")], {"no": np.float32([np.nan])})
    path = written(network)
    write_exam(small[0], tmp_path / "exam.nii.gz")
    before = set(tmp_path.rglob("*"))
    command = ["run", tmp_path / "exam.nii.gz", "-o", tmp_path / "out", "-m", "cnn", "-q"]
    failed = subprocess.run(
        [sys.executable, "-P", "-m", "bolus", *command, "--model", path],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert failed.returncode == DamagedFile.exit_code, failed.stderr
    assert failed.stdout == ""
    assert "mine.onnx" in failed.stderr
    assert "not finite" in failed.stderr
    assert len(failed.stderr.strip().splitlines()) == 1
    assert set(tmp_path.rglob("*")) == before
