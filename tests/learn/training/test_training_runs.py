from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
pytest.importorskip("pytorch_metric_learning", reason="arcface needs pytorch-metric-learning")

import tiny_training  # noqa: E402
from tiny_training import (  # noqa: E402
    Quiet,
    make_labelled,
    make_plain,
    register_tiny,
    tiny_settings,
)

from glocal.errors import DiskFullError, LearnError, PartError  # noqa: E402
from glocal.learn import cache as cache_module  # noqa: E402
from glocal.learn import checkpoint  # noqa: E402
from glocal.learn.training import train  # noqa: E402

register_tiny()


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return make_labelled(folder / "labelled"), make_plain(folder / "plain")


def run_tiny(data, run, *, also=(), listener=None, stop=lambda: False, **changes):
    return train(
        data, tiny_settings(**changes), run=run, also=also, stop=stop, listener=listener or Quiet()
    )


def states(run):
    last = checkpoint.load(run / "last.pt")
    del last["seconds"]  # the only thing that differs
    return last


def assert_same(one, other):
    assert type(one) is type(other)
    if isinstance(one, dict):
        assert one.keys() == other.keys()
        for key, value in one.items():
            assert_same(value, other[key])
    elif isinstance(one, list):
        assert len(one) == len(other)
        for left, right in zip(one, other, strict=True):
            assert_same(left, right)
    elif isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    else:
        assert one == other


def lines(run):
    found = [json.loads(text) for text in (run / "curves.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in found]


@pytest.fixture(scope="module")
def uninterrupted(data, tmp_path_factory):
    torch.set_num_threads(1)
    run = tmp_path_factory.mktemp("whole")
    labelled, plain = data
    listener = Quiet()
    trained = run_tiny(labelled, run, also=[plain], check=4, listener=listener)
    return run, trained, listener


def test_a_training_learns_evaluates_and_keeps_its_best_model(uninterrupted):
    run, trained, listener = uninterrupted
    assert trained.finished
    assert listener.copied == (44, 44)
    assert listener.done_at_start == 0
    steps = lines(run)
    assert [line["step"] for line in steps] == list(range(1, len(listener.steps) + 1))
    evaluated = {line["step"]: line["mAP"] for line in steps if "mAP" in line}
    assert set(evaluated) == {*range(4, len(steps), 4), len(steps)}
    assert {"loss labels", "loss views", "loss head", "loss", "lr"} <= steps[0].keys()
    for line in steps:
        parts = [line[f"loss {part}"] for part in ("labels", "views", "head")]
        assert line["loss"] == pytest.approx(sum(parts), rel=1e-3)
    assert trained.step == max(evaluated, key=lambda step: (evaluated[step], -step))
    assert (run / "curves.svg").stat().st_size > 500
    best = checkpoint.load(run / "best.pt")["model"]
    assert_same(dict(trained.model.state_dict()), dict(best))
    assert states(run)["step"] == len(steps)


def test_a_killed_training_resumes_bit_for_bit(data, tmp_path, uninterrupted):
    whole, _, listener = uninterrupted
    script = Path(tiny_training.__file__)
    command = [sys.executable, str(script), *map(str, data), str(tmp_path)]
    environment = os.environ | {"PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as process:
        for line in process.stdout:
            # The sixth step is done, the last checkpoint is of the fourth.
            if int(line) == 5:
                process.send_signal(signal.SIGKILL)
                break
        process.wait(60)
    assert process.returncode == -signal.SIGKILL
    assert checkpoint.load(tmp_path / "last.pt")["step"] == 4
    second = Quiet()
    trained = run_tiny(data[0], tmp_path, also=[data[1]], check=4, listener=second)
    assert trained.finished
    assert len(second.steps) == len(listener.steps) - 4
    assert_same(states(tmp_path), states(whole))
    assert lines(tmp_path) == lines(whole)


def test_a_finished_training_does_not_train_further(uninterrupted, data):
    run, trained, _ = uninterrupted
    listener = Quiet()
    again = run_tiny(data[0], run, also=[data[1]], check=4, listener=listener)
    assert listener.steps == []
    assert listener.done_at_start == 1
    assert_same(dict(again.model.state_dict()), dict(trained.model.state_dict()))


def test_a_stopped_training_resumes_bit_for_bit(data, tmp_path):
    listener = Quiet()
    stopped = run_tiny(
        data[0], tmp_path, listener=listener, stop=lambda: len(listener.steps) == 3, check=100
    )
    assert not stopped.finished
    assert states(tmp_path)["step"] == 3
    rest = Quiet()
    assert run_tiny(data[0], tmp_path, listener=rest, check=100).finished
    straight = Quiet()
    run_tiny(data[0], tmp_path / "other", listener=straight, check=100)
    assert listener.steps + rest.steps == straight.steps


def test_minutes_count_over_all_runs_of_a_training(data, tmp_path):
    listener = Quiet()
    run_tiny(data[0], tmp_path, minutes=1, listener=listener, stop=lambda: True)
    state = checkpoint.load(tmp_path / "last.pt")
    state["seconds"] = 59.9999
    checkpoint.save(tmp_path / "last.pt", state)
    assert run_tiny(data[0], tmp_path, minutes=1, listener=listener).finished
    assert len(listener.steps) == 2


@pytest.mark.parametrize("head", ["cfcd", "delg", "dolg"])
def test_heads_with_a_loss_of_their_own_learn(head, data, tmp_path):
    listener = Quiet()
    options = {"head": head, "batch": 12, "epochs": 3, "check": 100, "lr": 1e-3}
    run_tiny(data[0], tmp_path, listener=listener, also=[data[1]], **options)
    own = [figures["loss head"] for figures in listener.steps]
    if head == "cfcd":  # the fine stage is the second half
        assert own[0] == 0
        assert len({figure > 0 for figure in own}) == 2
    else:
        assert (own[0] > 0) == (head == "delg")


def test_images_without_labels_are_learned_from_in_two_views(data, tmp_path):
    listener = Quiet()
    run_tiny(data[1], tmp_path, objective="instance", listener=listener, check=2, lr=3e-3, epochs=6)
    assert listener.steps[0].keys() == {"loss", "loss views", "loss head", "lr"}
    evaluated = [figures for figures in listener.steps if "mAP" in figures]
    assert evaluated[0].keys() >= {"mAP copies"}
    assert "mAP labels" not in evaluated[0]


def test_frozen_stages_keep_their_weights(data, tmp_path):
    trained = run_tiny(data[0], tmp_path, freeze=2, check=100, average=0.0)
    torch.manual_seed(5)
    fresh = tiny_training.TrainableTiny().state_dict()
    found = trained.model.backbone.state_dict()
    for name, value in fresh.items():
        frozen = name.startswith(("stages.0", "stages.1"))
        if value.is_floating_point() and "norm" not in name:
            assert torch.equal(found[name], value) == frozen, name


def test_a_training_that_stops_improving_ends_early(data, tmp_path, monkeypatch):
    monkeypatch.setattr("glocal.learn.evaluator.Evaluator.__call__", lambda *_: {"mAP": 0.5})
    listener = Quiet()
    options = {"epochs": 50, "check": 2, "patience": 3, "listener": listener}
    trained = run_tiny(data[0], tmp_path, **options)
    assert trained.finished
    assert len(listener.steps) == 8
    assert trained.step == 2
    assert run_tiny(data[0], tmp_path, **options).finished
    assert len(listener.steps) == 8


def test_a_training_starts_from_the_checkpoint_of_another(uninterrupted, data, tmp_path):
    run, trained, _ = uninterrupted
    start = str(run / "best.pt")
    model = run_tiny(data[0], tmp_path, start=start, lr=1e-12, check=100, average=0.0).model
    expected = trained.model.state_dict()
    assert torch.allclose(
        model.state_dict()["head.whitening.linear.weight"],
        expected["head.whitening.linear.weight"],
        atol=1e-6,
    )
    with pytest.raises(LearnError, match=r"best\.pt belongs to another model: its head.* --dim 8"):
        run_tiny(data[0], tmp_path / "2", start=start, dim=7)
    with pytest.raises(LearnError, match=r"another model: it (lacks|also has) .*--head gem"):
        run_tiny(data[0], tmp_path / "3", start=start, head="cfcd")
    with pytest.raises(LearnError, match="no checkpoint"):
        run_tiny(data[0], tmp_path / "4", start=str(tmp_path / "none.pt"))


def test_a_checkpoint_of_another_training_is_not_resumed(uninterrupted, data, tmp_path):
    run, _, _ = uninterrupted
    with pytest.raises(
        LearnError, match=r"belongs to another training: lr was 0\.0004, is 0\.1\. Use"
    ):
        run_tiny(data[0], run, also=[data[1]], check=4, lr=0.1)
    with pytest.raises(LearnError, match="the images are not the same"):
        run_tiny(data[0], run, also=[make_plain(tmp_path / "more", 3)], check=4)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", b"plain text"])
def test_a_damaged_checkpoint_is_reported(content, data, tmp_path):
    (tmp_path / "last.pt").write_bytes(content)
    with pytest.raises(LearnError, match=r"last\.pt cannot be read"):
        run_tiny(data[0], tmp_path)


def test_a_file_that_is_no_checkpoint_is_refused(data, tmp_path):
    torch.save({"weights": torch.zeros(2)}, tmp_path / "last.pt")
    with pytest.raises(LearnError, match="not a checkpoint of glocal's trainer"):
        run_tiny(data[0], tmp_path)


def test_a_loss_that_is_not_a_number_stops_the_training(data, tmp_path, monkeypatch):
    def spoilt(*_):
        return {"loss": float("nan")}

    monkeypatch.setattr("glocal.learn.recipes.labels_and_views.LabelsAndViews.step", spoilt)
    with pytest.raises(LearnError, match=r"nan at step 1; lower --lr, .* with another --run"):
        run_tiny(data[0], tmp_path)


def test_a_full_disk_leaves_the_previous_checkpoint(data, tmp_path, monkeypatch):
    run_tiny(data[0], tmp_path, stop=lambda: True)
    before = (tmp_path / "last.pt").read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(DiskFullError, match=r"last\.pt cannot be written.*the previous one"):
        run_tiny(data[0], tmp_path, stop=lambda: True)
    assert (tmp_path / "last.pt").read_bytes() == before
    assert not list(tmp_path.glob("*.partial"))


def test_a_lack_of_disk_space_is_reported_before_training(data, tmp_path, monkeypatch):
    usage = namedtuple("Usage", "free")
    monkeypatch.setattr(cache_module.shutil, "disk_usage", lambda _: usage(1000))
    listener = Quiet()
    with pytest.raises(DiskFullError, match="make room"):
        run_tiny(data[0], tmp_path, listener=listener)
    assert listener.steps == []


def test_broken_files_are_skipped_and_reported(tmp_path):
    folder = make_labelled(tmp_path / "data", labels=3)
    broken = folder / "label0" / "3.png"
    broken.write_bytes(broken.read_bytes()[:60])
    listener = Quiet()
    trained = run_tiny(folder, tmp_path / "run", listener=listener)
    assert list(listener.unfit) == [broken]
    assert len(trained.samples) == 23
    for path in sorted((folder / "label1").iterdir())[1:]:
        path.write_bytes(b"")
    with pytest.raises(LearnError, match=r"one image to learn from: label1\."):
        run_tiny(folder, tmp_path / "run2")


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"head": "gemm"}, "did you mean 'gem'"),
        ({"objective": "arcfase"}, "did you mean 'arcface'"),
        ({"backbone": "tinny"}, "no backbone named 'tinny'"),
        ({"head": "rmac"}, "one size only"),
        ({"block": "ella"}, "did you mean 'ela'"),
        ({"block": "laurel"}, "have nothing that a block"),
        ({"head": "dolg", "final": "whitening"}, "fitted to pooled features"),
        ({"dim": 9, "final": "whitening", "batch": 30}, "fewer than one --batch"),
        ({"dim": 17, "final": "whitening"}, "more than the 16 features"),
        ({"batch": 3}, "--batch 3"),
        ({"side": 40}, "--side has to be a multiple of 32"),
        ({"input_side": 0}, "--input-side"),
        ({"lr": 0.0}, "--lr has to be more than 0"),
        ({"epochs": None}, "either --epochs or --minutes"),
        ({"minutes": 1, "epochs": 1}, "either --epochs or --minutes"),
        ({"average": 1.0}, "--average"),
        ({"device": "abacus"}, "no device 'abacus'"),
        ({"freeze": 4}, "has 3 stages"),
        ({"strength": 3.0}, "strength of augmentation has to be"),
        ({"weights": "none", "start": "nowhere.pt"}, "no checkpoint nowhere"),
    ],
)
def test_mistakes_are_reported_before_training(changes, text, data, tmp_path):
    listener = Quiet()
    with pytest.raises((LearnError, PartError), match=text):
        run_tiny(data[0], tmp_path / "run", listener=listener, **changes)
    assert listener.steps == []


def test_whitening_needs_as_many_images_as_dimensions(tmp_path):
    folder = make_labelled(tmp_path / "data", labels=2, each=5)
    with pytest.raises(LearnError, match="10 images are too few to whiten 12 dimensions"):
        run_tiny(folder, tmp_path / "run", dim=12, final="whitening")


def test_the_moving_average_follows_the_weights():
    from glocal.learn.model import build_model
    from glocal.learn.moving_average import moving_average

    model = build_model(backbone="tiny", head="gem", dim=4)
    average = moving_average(model, 0.9)
    expected = 1.0  # the copy starts as the weights after the first step
    for step in range(1, 60):
        with torch.no_grad():
            model.head.power.fill_(step)
        average.update_parameters(model)
        keep = min(0.9, step / (step + 10))
        expected = keep * expected + (1 - keep) * step
    assert float(average.module.head.power) == pytest.approx(expected, rel=1e-5)
    assert not np.isclose(expected, 59)
    assert not any(parameter.requires_grad for parameter in average.parameters())


def test_the_moving_average_includes_running_statistics():
    from glocal.learn.model import build_model
    from glocal.learn.moving_average import moving_average

    model = build_model(backbone="tiny", head="gem", dim=4)
    average = moving_average(model, 0.9)
    norm = next(m for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    followed = next(m for m in average.modules() if isinstance(m, torch.nn.BatchNorm2d))
    for mean in (0.0, 1.0):
        norm.running_mean.fill_(mean)
        norm.num_batches_tracked += 1
        average.update_parameters(model)
    assert followed.running_mean == pytest.approx(10 / 12)
    assert followed.num_batches_tracked == norm.num_batches_tracked == 2
