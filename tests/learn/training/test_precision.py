"""Devices and precision; a CPU stands in for a GPU in half precision."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
pytest.importorskip("pytorch_metric_learning", reason="arcface needs pytorch-metric-learning")

from tiny_training import (  # noqa: E402
    Quiet,
    make_labelled,
    make_plain,
    register_tiny,
    tiny_settings,
)

from glocal.errors import LearnError  # noqa: E402
from glocal.learn import checkpoint  # noqa: E402
from glocal.learn.batches import Batch  # noqa: E402
from glocal.learn.device import choose_device, choose_precision  # noqa: E402
from glocal.learn.model import build_objective  # noqa: E402
from glocal.learn.training import _build, train  # noqa: E402
from glocal.registry import names  # noqa: E402

register_tiny()

CPU, GPU = torch.device("cpu"), torch.device("cuda", 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    return make_labelled(folder / "labelled", labels=3), make_plain(folder / "plain")


def test_auto_is_a_gpu_if_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert choose_device("auto") == CPU
    made = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch, "empty", lambda *_, device: made.append(device))
    assert choose_device("auto").type == "cuda"
    assert choose_device("cuda:1") == GPU
    assert [device.type for device in made] == ["cuda", "cuda"]


@pytest.mark.parametrize("name", ["meta", "mps"])
def test_devices_that_cannot_train_are_refused(name):
    with pytest.raises(LearnError, match=f"--device {name} cannot train"):
        choose_device(name)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
@pytest.mark.parametrize("name", ["cuda", "cuda:7", "abacus", "cuda:x"])
def test_missing_devices_are_refused(name):
    with pytest.raises(LearnError, match=f"there is no device '{name}'"):
        choose_device(name)


@pytest.mark.parametrize(("native", "expected"), [(True, torch.bfloat16), (False, torch.float16)])
def test_a_gpu_uses_the_half_precision_it_supports(native, expected, monkeypatch):
    asked = []

    def supported(including_emulation=True):
        assert not including_emulation
        return native

    def on(device):
        asked.append(device)
        return contextlib.nullcontext()

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    monkeypatch.setattr(torch.cuda, "device", on)
    assert choose_precision("auto", GPU) == expected
    assert asked == [GPU]
    assert choose_precision("float32", GPU) == torch.float32
    assert choose_precision("auto", CPU) == torch.float32
    assert choose_precision("float16", CPU) == torch.float16


def batch_of(labelled=6, viewed=4):
    random = np.random.default_rng(1)
    images = random.integers(0, 256, (labelled + 2 * viewed, 32, 32, 3)).astype(np.uint8)
    labels = np.concatenate([np.arange(labelled) % 3, np.tile(np.arange(viewed), 2)])
    return Batch(images, labels.astype(np.int64), labelled, labels)


def learning_in(precision, **changes):
    settings = tiny_settings(precision=precision, **changes)
    learning = _build(settings, 3, True, CPU, None)
    learning.make_optimizer(1e-3)
    return learning


@pytest.mark.parametrize("head", ["gem", "dolg", "delg", "cfcd"])
@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_step_in_half_precision_is_close_to_one_in_single(precision, head):
    whole, half = learning_in("float32", head=head), learning_in(precision, head=head)
    assert half.scaler.is_enabled() == (precision == "float16")
    half.model.load_state_dict(whole.model.state_dict())
    half.recipe.load_state_dict(whole.recipe.state_dict())
    if (
        precision == "float16"
    ):  # the default first factor is too large, so that steps would be skipped
        half.scaler = torch.amp.GradScaler("cpu", init_scale=64)
    seen = []
    half.model.backbone.stages[0].register_forward_hook(lambda *given: seen.append(given[2].dtype))
    expected, found = (each.recipe.step(each, batch_of()) for each in (whole, half))
    assert seen == [getattr(torch, precision)]
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=0.1, abs=0.05), name
    both = [
        (one, other)
        for one, other in zip(whole.model.parameters(), half.model.parameters(), strict=True)
        if one.grad is not None
    ]
    assert both
    for _, other in both:
        assert other.dtype == other.grad.dtype == torch.float32
    # Gradients have to be unscaled before they are clipped.
    lengths = [torch.stack([pair[side].grad.norm() for pair in both]).norm() for side in (0, 1)]
    assert lengths[1] == pytest.approx(float(lengths[0]), rel=0.1)


def test_a_step_that_overflows_is_skipped():
    learning = learning_in("float16")
    before = {k: v.clone() for k, v in learning.model.named_parameters()}
    learning.scaler = torch.amp.GradScaler("cpu", init_scale=1e38)
    learning.recipe.step(learning, batch_of())
    assert learning.scaler.get_scale() == pytest.approx(5e37)
    assert all(torch.equal(before[name], p) for name, p in learning.model.named_parameters())


@pytest.mark.parametrize("name", names("objective"))
def test_objectives_stay_in_single_precision(name):
    torch.manual_seed(3)
    objective = build_objective(name, dim=8, classes=3)
    vectors = torch.randn(9, 8)
    labels = torch.arange(9) % 3
    alone = objective(vectors, labels)
    with torch.autocast("cpu", torch.bfloat16):
        within = objective(vectors, labels)
    # Not in every bit: kernels differ by where in memory numbers lie. Half precision has 8 bits.
    assert torch.allclose(alone, within, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_a_training_in_half_precision_resumes_bit_for_bit(precision, data, tmp_path):
    labelled, plain = data

    def run(folder, stop=lambda: False, **changes):
        listener = Quiet()
        settings = tiny_settings(check=100, precision=precision, cutmix=0.5, **changes)
        train(labelled, settings, run=folder, also=[plain], stop=stop, listener=listener)
        return listener.steps

    straight = run(tmp_path / "straight")
    first = run(tmp_path / "parts", stop=lambda: True)
    assert len(first) == 1
    state = checkpoint.load(tmp_path / "parts" / "last.pt")
    assert ("scaler" in state) == (precision == "float16")
    if precision == "float16":
        assert state["scaler"]["scale"] < 65536  # lowered after the first step
    assert first + run(tmp_path / "parts") == straight


def test_precision_may_change_when_a_training_resumes(data, tmp_path):
    for number, precision in enumerate(("float16", "float32", "bfloat16", "float16"), start=1):
        settings = tiny_settings(check=100, precision=precision)
        train(data[0], settings, run=tmp_path, stop=lambda: True, listener=Quiet())
        assert checkpoint.load(tmp_path / "last.pt")["step"] == number


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@pytest.mark.parametrize("precision", ["auto", "float16", "float32"])
def test_a_training_on_a_gpu_resumes_there_and_on_a_cpu(precision, data, tmp_path):
    seen = []
    for number, device in enumerate(("auto", "cuda", "cpu", "cuda"), start=1):
        listener = Quiet()
        settings = tiny_settings(check=2, device=device, precision=precision, cutmix=0.5)
        trained = train(
            data[0], settings, run=tmp_path, also=[data[1]], stop=lambda: True, listener=listener
        )
        assert checkpoint.load(tmp_path / "last.pt")["step"] == number
        assert next(trained.model.parameters()).device == CPU
        seen += listener.steps
    assert all(np.isfinite(step["loss"]) for step in seen)


def test_too_little_gpu_memory_is_reported(data, tmp_path, monkeypatch):
    def full(*_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr("glocal.learn.recipes.labels_and_views.LabelsAndViews.step", full)
    text = "too little memory for steps of 6 images of 32 pixels; use a smaller --batch"
    with pytest.raises(LearnError, match=text):
        train(data[0], tiny_settings(), run=tmp_path, listener=Quiet())


@pytest.mark.parametrize("head", ["gem", "delf", "cfcd"])
def test_mixed_views_are_learned_from(head, data, tmp_path):
    figures = []
    for share in (0.0, 0.6):
        listener = Quiet()
        settings = tiny_settings(
            objective="instance", head=head, cutmix=share, check=100, epochs=3,
            options={"head.coarse": 0.0} if head == "cfcd" else {},
        )  # fmt: skip
        train(data[1], settings, run=tmp_path / str(share), listener=listener)
        figures.append(listener.steps)
    assert all(np.isfinite(step["loss"]) for step in figures[1])
    assert figures[0] != figures[1]


def test_mixing_needs_views(data, tmp_path):
    with pytest.raises(LearnError, match=r"--cutmix mixes views of images.*add some with --also"):
        train(data[0], tiny_settings(cutmix=0.5), run=tmp_path, listener=Quiet())
