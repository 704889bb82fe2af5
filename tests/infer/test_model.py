"""A network's file is used as it should be, or refused with the way out."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files
from pathlib import Path

import numba
import numpy as np
import onnx
import pytest

from bolus.errors import BolusError, DamagedFile, UsageError
from bolus.infer.features import CONTEXT, PIXEL_CHANNELS
from bolus.infer.metadata import KEY
from bolus.infer.model import Model, load_model

WEIGHTS = files("bolus.infer").joinpath("weights.onnx").read_bytes()


@pytest.fixture(scope="module")
def model() -> Model:
    return load_model()


def inputs(rows: int = 37, columns: int = 45) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    pixels = rng.normal(0, 1, (PIXEL_CHANNELS, rows, columns)).astype(np.float32)
    return pixels, rng.normal(0, 1, CONTEXT).astype(np.float32)


def test_the_built_in_network_is_small_and_says_where_it_comes_from(model: Model) -> None:
    assert len(WEIGHTS) <= 20_000_000
    assert model.sha256 == hashlib.sha256(WEIGHTS).hexdigest()
    assert model.card.training["licence"] == "Apache-2.0"
    assert {"seed", "epochs", "training_exams", "validation_exams", "bolus"} <= set(
        model.card.training
    )


def test_the_record_of_the_training_is_that_of_the_network_that_ships(model: Model) -> None:
    results = Path(__file__).parents[2] / "benchmarks" / "results"
    assert model.sha256 in (results / "weights.md").read_text(encoding="utf-8")


def test_slices_of_any_size_get_maps_of_their_size(model: Model) -> None:
    for rows, columns in ((8, 8), (37, 45), (1, 3)):
        maps, spread = model.run(*inputs(rows, columns))
        assert maps.shape == spread.shape == (5, rows, columns)
        assert np.isfinite(maps).all()
        assert (spread > 0).all()


def test_the_number_of_threads_changes_no_bit(model: Model) -> None:
    threads = numba.get_num_threads()
    try:
        numba.set_num_threads(1)
        alone = load_model()
    finally:
        numba.set_num_threads(threads)
    given = inputs(96, 120)
    for one, two in zip(model.run(*given), alone.run(*given), strict=True):
        assert one.tobytes() == two.tobytes()


def refused(path: Path, kind: type[BolusError], words: str) -> None:
    with pytest.raises(kind, match=words) as failed:
        load_model(path)
    assert path.name in str(failed.value)


def test_what_is_not_there_is_a_mistake_of_the_caller(tmp_path: Path) -> None:
    refused(tmp_path / "missing.onnx", UsageError, "can't be read")
    refused(tmp_path, UsageError, "bolus train")


@pytest.mark.parametrize(
    "content",
    [b"", b"\x80\x04K\x01.", b"PK\x03\x04 a checkpoint", b"ORTM" * 40, WEIGHTS[:1_000_000]],
)
def test_what_is_no_model_is_refused(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mine.onnx"
    path.write_bytes(content)
    refused(path, DamagedFile, "can't be used as a network")


def test_a_huge_file_is_not_even_read(tmp_path: Path) -> None:
    path = tmp_path / "huge.onnx"
    with path.open("wb") as file:
        file.truncate(300_000_000)  # takes no room on the disk
    refused(path, DamagedFile, "larger than 200 MB")


def changed(tmp_path: Path, **keys: object) -> Path:
    """The built-in network with other words about itself."""
    corrupted = onnx.load_from_string(WEIGHTS)
    content = json.loads(corrupted.metadata_props[0].value) | keys
    corrupted.metadata_props[0].value = json.dumps(content)
    path = tmp_path / "mine.onnx"
    path.write_bytes(corrupted.SerializeToString())
    return path


def test_a_network_of_another_version_is_named_as_such(tmp_path: Path) -> None:
    refused(changed(tmp_path, inputs=99), UsageError, "another version of bolus.*inputs 99")


def test_a_damaged_description_is_refused(tmp_path: Path) -> None:
    refused(changed(tmp_path, standard_errors={}), DamagedFile, "description is damaged")


def test_a_description_of_other_exams_than_there_are_is_refused(tmp_path: Path) -> None:
    """Its numbers would not fit those of any exam."""
    usual = json.loads(onnx.load_from_string(WEIGHTS).metadata_props[0].value)["usual"]
    usual[1] |= {"centre": [1], "scale": [1], "whitening": [[1]]}
    refused(changed(tmp_path, usual=usual), DamagedFile, "description is damaged")


def test_settings_for_the_runtime_are_refused(tmp_path: Path) -> None:
    """ONNX Runtime can be told to take its own settings from a file's metadata."""
    corrupted = onnx.load_from_string(WEIGHTS)
    corrupted.metadata_props.add(key="ort_config", value="{}")
    path = tmp_path / "mine.onnx"
    path.write_bytes(corrupted.SerializeToString())
    refused(path, DamagedFile, "more than that")


def test_a_network_with_other_inputs_is_refused(tmp_path: Path) -> None:
    card = onnx.load_from_string(WEIGHTS).metadata_props[0].value
    shape = ["batch", 3, "rows", "columns"]
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, shape) for n in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    other = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8
    )
    other.metadata_props.add(key=KEY, value=card)
    path = tmp_path / "mine.onnx"
    path.write_bytes(other.SerializeToString())
    refused(path, DamagedFile, "other inputs")


def test_a_model_that_the_runtime_refuses_is_a_damaged_file(tmp_path: Path) -> None:
    corrupted = onnx.load_from_string(WEIGHTS)
    corrupted.graph.node[0].op_type = "NoSuchOperation"
    path = tmp_path / "mine.onnx"
    path.write_bytes(corrupted.SerializeToString())
    refused(path, DamagedFile, "ONNX Runtime refuses it")
