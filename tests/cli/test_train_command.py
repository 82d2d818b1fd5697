from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections import namedtuple
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from glocal.cli.app import glocal
from glocal.cli.train import train
from glocal.errors import DiskFullError, GlocalError, LearnError, MissingExtraError

LEARN = Path(__file__).resolve().parent.parent / "learn"


def run(*arguments):
    return CliRunner().invoke(glocal, ["train", *map(str, arguments)])


def test_help_lists_every_part_without_importing_torch():
    code = (
        "import sys; from click.testing import CliRunner; from glocal.cli.app import glocal; "
        "text = CliRunner().invoke(glocal, ['train', '--help']).output; "
        "assert 'superglobal' in text and 'proxy-anchor' in text, text; "
        "assert 'efficientnet-lite2' in text; "
        "assert 'torch' not in sys.modules and 'onnxruntime' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_missing_extra_names_the_command_that_installs_it(tmp_path, monkeypatch):
    real = importlib.util.find_spec
    monkeypatch.setattr(
        "glocal.cli.training.find_spec", lambda name: None if name == "torch" else real(name)
    )
    result = run(tmp_path, "-o", tmp_path / "m.onnx", "--minutes", 1)
    assert isinstance(result.exception, MissingExtraError)
    assert 'the package torch, which is not installed; run: pip install "glocal[learn]"' in str(
        result.exception
    )


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["-o", "m.onnx"], "either --epochs or --minutes"),
        (["-o", "m.pt", "--epochs", "1"], "does not end in .onnx"),
        (["-o", "nowhere/m.onnx", "--epochs", "1"], "there is no folder nowhere"),
    ],
)
def test_invalid_arguments_are_named(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("glocal.cli.train.require_extra", lambda command: None)
    result = run(tmp_path, *arguments)
    assert isinstance(result.exception, GlocalError)
    assert text in str(result.exception)


def test_an_unknown_head_is_answered_with_the_nearest(tmp_path):
    result = run(tmp_path, "-o", tmp_path / "m.onnx", "--epochs", "1", "--head", "gemm")
    assert result.exit_code == 2
    assert "no head named 'gemm'; did you mean 'gem'" in result.output


def test_a_read_only_or_full_folder_is_named_before_training(tmp_path, monkeypatch):
    monkeypatch.setattr("glocal.cli.train.require_extra", lambda command: None)
    options = (tmp_path, "-o", tmp_path / "m.onnx", "--epochs", 1)
    with monkeypatch.context() as patch:
        patch.setattr("glocal.cli.training.os.access", lambda _, mode: mode != os.W_OK)
        assert "is read-only" in str(run(*options).exception)
    usage = namedtuple("Usage", "free")
    monkeypatch.setattr("glocal.learn.cache.shutil.disk_usage", lambda _: usage(1000))
    result = run(*options)
    assert isinstance(result.exception, DiskFullError)
    assert f"0.1 GB in {tmp_path}" in str(result.exception)


def test_every_setting_is_an_option():
    from dataclasses import fields

    from glocal.learn.settings import Settings

    options = {parameter.name for parameter in train.params}
    assert {field.name for field in fields(Settings)} <= options


@pytest.fixture
def tiny(monkeypatch):
    pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
    pytest.importorskip("onnxscript", reason="exporting needs onnxscript")
    monkeypatch.syspath_prepend(str(LEARN))
    import tiny_training

    tiny_training.register_tiny()
    return tiny_training


def test_a_trained_model_indexes_and_searches(tiny, tmp_path):
    photos, plain = tiny.make_labelled(tmp_path / "photos", labels=3), tmp_path / "plain"
    tiny.make_plain(plain)
    (photos / "label0" / "broken.jpg").write_bytes(b"nothing")
    output = tmp_path / "mine.onnx"
    options = (
        photos, "-o", output, "--backbone", "tiny", "--epochs", 1, "--batch", 6, "--side", 32,
        "--input-side", 64, "--dim", 8, "--workers", 1, "--licence", "MIT", "--also", plain,
        "--block", "triplet-attention",
        "--views", 4, "--cutmix", 0.5, "--set", "head.power=4", "--set", "objective.margin=0.3",
        "--precision", "bfloat16",
    )  # fmt: skip
    result = run(*options)
    assert result.exit_code == 0, result.output
    assert "1 photo cannot be used" in result.output
    assert f"{photos / 'label0' / 'broken.jpg'}: " in result.output
    counts = r"(\d+) photos to train on, ([5-9]) to evaluate on, 3 labels"
    counted = re.search(counts, result.output)
    assert counted
    assert sum(map(int, counted.groups())) == 24 + 12, result.output
    assert f"{output}: " in result.output
    assert "mine-half.onnx" in result.output
    assert (tmp_path / "mine.run" / "curves.svg").exists()
    from glocal.encoders import OnnxEncoder

    recorded = OnnxEncoder(output).card.everything["trained"]
    assert recorded["options"] == {"head.power": 4.0, "objective.margin": 0.3}
    assert recorded["cutmix"] == 0.5
    assert recorded["block"] == "triplet-attention"

    gallery = tmp_path / "gallery"
    invoke = CliRunner().invoke
    (photos / "label0" / "broken.jpg").unlink()
    indexed = invoke(glocal, ["index", str(photos), "--model", str(output), "-g", str(gallery)])
    assert "24 added" in indexed.output, indexed.output
    half = tmp_path / "mine-half.onnx"
    listed = invoke(glocal, ["models", "-g", str(gallery), str(half)]).output
    assert "mine-half v1  8 dimensions" in listed
    assert "mine v1  8 dimensions" in listed
    assert "MIT  used by this gallery" in listed
    found = invoke(glocal, ["search", str(photos / "label1" / "2.png"), "-g", str(gallery)]).output
    hits = [line for line in found.splitlines() if "/label" in line]
    assert all("label1/" in line for line in hits[:3])


def test_ctrl_c_finishes_the_step_and_a_second_one_stops_at_once():
    import signal

    from glocal.cli.training import Stopping

    before = signal.getsignal(signal.SIGINT)
    with Stopping() as stopping:
        signal.raise_signal(signal.SIGINT)
        assert stopping.requested
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--set", "head.powr=4"], "did you mean head.power"),
        (["--set", "objective.margin=wide"], "objective.margin=wide: give a number"),
        (["--set", "margin=1"], "objective.NAME=VALUE or recipe.NAME=VALUE"),
        (["--cutmix", "0.5"], "add some with --also"),
        (["--cutmix", "1.5"], "--cutmix is a share"),
        (["--device", "meta"], "--device meta cannot train; use cpu"),
        (["--overlays", "nowhere"], "there is no nowhere; it should be a folder of images"),
        (["--also", "nowhere"], "there is no nowhere; it should be a folder of images"),
        (["--seed", "-1"], "--seed has to be at least 0"),
        (["--batch", "200"], "18 images can be learned from, fewer than one --batch of 200"),
        (["--strength", "3"], "has to be in [0, 2], not 3.0"),
        (["--freeze", "4"], "the backbone has 3 stages"),
        (["--side", "50"], "--side has to be a multiple of 32"),
    ],
)
def test_impossible_settings_are_named_before_images_are_read(
    options, text, tiny, tmp_path, monkeypatch
):
    monkeypatch.setattr("glocal.learn.cache.ImageCache.fill", None)
    photos = tiny.make_labelled(tmp_path / "photos", labels=3)
    result = run(
        photos, "-o", tmp_path / "m.onnx", "--backbone", "tiny", "--epochs", 1, "--batch", 6,
        "--side", 32, "--dim", 8, *options,
    )  # fmt: skip
    assert isinstance(result.exception, LearnError), result.exception
    assert text in str(result.exception)


def test_photos_without_labels_suggest_the_instance_objective(tiny, tmp_path):
    Image.new("RGB", (40, 40)).save(tmp_path / "1.png")
    result = run(tmp_path, "-o", tmp_path / "m.onnx", "--epochs", 1, "--backbone", "tiny")
    assert "use --objective instance" in str(result.exception)
