"""A checkpoint becomes a file that `bolus run` reads, the same bytes every time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from made_slab import a_slab

from bolus.errors import DamagedFile
from bolus.infer.model import load_model
from bolus.infer.predict import predict
from bolus.train.cnn.export import export, require_same, run_on_exam
from bolus.train.cnn.network import PerfusionNet
from bolus.train.prepare import Prepared, write_prepared


def an_exam(path: Path, columns: int) -> Path:
    slab = a_slab(slices=2, columns=columns)
    truth = np.array([45.0, 3.0, 4.0, 3.0, 20.0])[:, None, None, None]
    targets = np.broadcast_to(truth, (5, *slab.voxels.shape)).astype(np.float32)
    write_prepared(Prepared(**vars(slab), targets=targets, valid=slab.voxels & ~slab.vessel), path)
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, list[Path]]:
    """A model file, its checkpoint and the exams: of a network that knows nothing yet."""
    folder = tmp_path_factory.mktemp("export")
    torch.manual_seed(3)
    checkpoint = folder / "best.pt"
    torch.save({"model": PerfusionNet().state_dict(), "epoch": 1}, checkpoint)
    exams = [an_exam(folder / f"{n}.npz", columns=24 + 2 * n) for n in range(4)]
    out = folder / "model.onnx"
    export(checkpoint, exams[:3], exams[3:], out, name="newborn", facts={"seed": 3, "epochs": 1})
    return out, checkpoint, exams


def test_the_file_is_a_model_with_its_history(made: tuple[Path, Path, list[Path]]) -> None:
    model = load_model(made[0])
    assert model.card.name == "newborn"
    assert model.card.training["seed"] == 3
    assert (model.card.training["training_exams"], model.card.training["validation_exams"]) == (
        3,
        1,
    )
    assert (predict(a_slab(), model).maps.cbf > 0).any()


def test_two_thirds_of_the_validation_errors_lie_within_one_standard_error(
    made: tuple[Path, Path, list[Path]],
) -> None:
    out, checkpoint, exams = made
    net = PerfusionNet()
    net.load_state_dict(torch.load(checkpoint, weights_only=True)["model"])
    net.eval()
    ratios = run_on_exam(net, exams[3]).ratios
    factors = list(load_model(out).card.factors.values())
    for ratio, factor in zip(ratios, factors, strict=True):
        assert np.mean(ratio <= factor) == pytest.approx(0.683, abs=0.01)


def test_the_same_arguments_give_the_same_bytes_with_any_number_of_threads(
    made: tuple[Path, Path, list[Path]], tmp_path: Path
) -> None:
    out, checkpoint, exams = made
    again = tmp_path / "again.onnx"
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    export(checkpoint, exams[:3], exams[3:], again, name="newborn", facts={"seed": 3, "epochs": 1})
    torch.set_num_threads(threads)
    assert again.read_bytes() == out.read_bytes()


def test_a_file_of_another_network_is_noticed(made: tuple[Path, Path, list[Path]]) -> None:
    torch.manual_seed(4)
    other = PerfusionNet().eval()
    with pytest.raises(RuntimeError, match="differ"):
        require_same(other, made[0], made[2][3])


def test_a_failed_export_leaves_nothing(
    made: tuple[Path, Path, list[Path]], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.pt"
    broken.write_bytes(b"not a checkpoint")
    with pytest.raises(DamagedFile):
        export(broken, made[2][:3], made[2][3:], tmp_path / "m.onnx", name="x", facts={})
    assert [p.name for p in tmp_path.iterdir()] == ["broken.pt"]
