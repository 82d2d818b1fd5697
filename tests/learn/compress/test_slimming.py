"""A trained model becomes smaller, keeps the widths of its maps, and is taught by itself."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("torch_pruning", reason="channels are removed by torch-pruning")

import torch
from tiny_training import Quiet, make_labelled, make_plain, register_tiny, tiny_settings

from glocal.cli.app import glocal
from glocal.errors import CompressError, LearnError
from glocal.learn import checkpoint
from glocal.learn.compress.slimming import read_model, slim
from glocal.learn.cost import count_flops, count_parameters
from glocal.learn.model import build_model

register_tiny()


def checkpoint_in(folder: Path, **changes) -> Path:
    torch.manual_seed(0)
    model, settings = build_model(backbone="tiny", head="gem", dim=8), tiny_settings(**changes)
    state = {"settings": settings.as_dict(), "model": model.state_dict(), "step": 7}
    checkpoint.save(folder / "best.pt", state)
    return folder / "best.pt"


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    return checkpoint_in(tmp_path_factory.mktemp("run"))


def test_half_of_the_operations_go_and_all_else_fits(trained, tmp_path):
    listener = Quiet()
    made = slim(
        trained, make_labelled(tmp_path / "photos"), method="pagcp", keep=0.5, minutes=0.01,
        work=tmp_path / "work", listener=listener,
    )  # fmt: skip
    teacher, student = made.teacher.model, made.student.model
    image = torch.rand(1, 3, 64, 96)
    left = count_flops(student.backbone, image) / count_flops(teacher.backbone, image)
    assert left == pytest.approx(made.kept, abs=0.02)
    assert 0.3 < left <= 0.51
    assert count_parameters(student) < count_parameters(teacher)
    maps = [(small.shape, whole.shape) for small, whole in
            zip(student.backbone(image), teacher.backbone(image), strict=True)]  # fmt: skip
    assert all(small == whole for small, whole in maps)
    assert not any(module.training for module in student.modules())
    assert made.student.evaluate.labelled
    assert not made.student.evaluate.copied
    assert made.student.step == 7
    losses = [step["loss"] for step in listener.steps]
    assert losses[-1] < losses[0]
    assert 0 < made.agreement <= 1


def test_photos_without_labels_are_measured_by_copies(tmp_path):
    trained = checkpoint_in(tmp_path, objective="instance")
    made = slim(
        trained, make_plain(tmp_path / "photos", 24), method="pagcp", keep=0.9, minutes=0.0005,
        work=tmp_path / "work", listener=Quiet(),
    )  # fmt: skip
    assert made.student.evaluate.copied
    assert not made.student.evaluate.labelled


def test_what_cannot_be_made_smaller_is_named(trained, tmp_path):
    with pytest.raises(CompressError, match=r"name the checkpoint .* m\.run/best\.pt"):
        read_model(tmp_path / "m.onnx")
    with pytest.raises(LearnError, match="there is no checkpoint"):
        read_model(tmp_path / "best.pt")
    with pytest.raises(CompressError, match="neither smaller nor faster; use pagcp"):
        slim(trained, tmp_path, method="global-mp", keep=0.5, minutes=1, work=tmp_path,
             listener=Quiet())  # fmt: skip
    with pytest.raises(LearnError, match="photos are too few to teach"):
        slim(trained, make_plain(tmp_path / "few", 6), method="pagcp", keep=0.5, minutes=1,
             work=tmp_path, listener=Quiet())  # fmt: skip


def test_a_goal_that_makes_no_sense_is_answered(tmp_path):
    for goal in ("0.5", "flops=2", "bytes=0.5"):
        command = ["compress", "best.pt", str(tmp_path), "-o", "m.onnx", "--goal", goal]
        result = CliRunner().invoke(glocal, command)
        assert result.exit_code == 2
        assert "write flops=0.5 to keep half of the operations" in result.output
