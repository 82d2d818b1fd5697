"""All routes of a stitched network lie in one file, whose weights are stored once."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
onnx = pytest.importorskip("onnx", reason="exporting needs onnx")
pytest.importorskip("onnxscript", reason="exporting needs onnxscript")

sys.path.insert(0, str(Path(__file__).parent))

from tiny_backbone import Tiny  # noqa: E402
from tiny_training import Quiet, make_plain, register_tiny, tiny_settings  # noqa: E402

from glocal.cli.app import glocal  # noqa: E402
from glocal.encoders import OnnxEncoder  # noqa: E402
from glocal.encoders.fit import fit  # noqa: E402
from glocal.errors import LearnError  # noqa: E402
from glocal.learn import checkpoint  # noqa: E402
from glocal.learn.cells import Cells  # noqa: E402
from glocal.learn.delivery import make_card  # noqa: E402
from glocal.learn.export import export  # noqa: E402
from glocal.learn.heads.gem import Gem  # noqa: E402
from glocal.learn.model import Model, build_model  # noqa: E402
from glocal.learn.stitch_delivery import shared_space  # noqa: E402
from glocal.learn.stitch_training import read_model, train_stitches  # noqa: E402
from glocal.learn.stitched_file import export_stitched, trace_routes  # noqa: E402
from glocal.learn.stitching import Stitched  # noqa: E402

register_tiny()
NAMES = ("small", "switch-2", "switch-1", "large")
CARD = {
    "name": "both", "version": 1, "space": "of both", "licence": "MIT", "dim": 8,
    "input": {"area": 64 * 64, "multiple": 32, "max_aspect": 4.0},
    "stitches": [
        {"name": name, "macs": number + 1, "time": 0.5, "agreement": 0.9 + number / 100}
        for number, name in enumerate(NAMES)
    ],
}  # fmt: skip


def encoder(widths):
    trunk = Tiny(widths)
    return Model(trunk, Gem(trunk.levels, dim=8), Cells(trunk.levels, dim=6, count=20)).eval()


def photo(seed):
    """Patches around a colour; another seed is another image."""
    random = np.random.default_rng(seed)
    patches = random.integers(0, 256, 3) * 0.7 + random.integers(0, 256, (6, 8, 3)) * 0.3
    return np.kron(patches, np.ones((12, 12, 1))).astype(np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Stitched and exported, with the files of both anchors alone."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("stitched")
    joined = Stitched(encoder((8, 12, 16)), encoder((24, 36, 48))).eval()
    images = [torch.from_numpy(photo(seed)[:64, :96]).permute(2, 0, 1) / 255 for seed in range(200)]
    joined.fit(torch.stack(images).float().split(50))
    traced = trace_routes(joined)
    differences = [
        export_stitched(joined, CARD, folder / "both.onnx", traced=traced),
        export_stitched(joined, CARD, folder / "half.onnx", traced=traced, half=True),
    ]
    plain = {key: value for key, value in CARD.items() if key != "stitches"}
    for number, name in ((0, "small"), (3, "large")):
        export(joined.model(number), plain, folder / f"{name}.onnx", traced=traced[number])
    return joined, folder, differences, traced


def test_each_stitch_computes_what_its_route_does(made):
    joined, folder, differences, _ = made
    assert differences[0] < 1e-5
    assert differences[1] < 1e-2
    for number, name in enumerate(NAMES):
        encoder = OnnxEncoder(folder / "both.onnx", stitch=name)
        image = photo(1000)
        pixels = torch.from_numpy(np.array(fit(image, encoder.card)))
        with torch.no_grad():
            vector, _, descriptors, scores = joined.model(number).features(
                pixels.permute(0, 3, 1, 2).float() / 255
            )
        (found,) = encoder.encode([image])
        assert np.allclose(found.vector, vector[0].numpy(), atol=1e-5), name
        assert np.allclose(found.scores, scores[0].numpy(), rtol=1e-4, atol=1e-5), name
        assert found.descriptors.shape == descriptors[0].shape
        whole = encoder.contributions(image).sum(axis=(0, 1))
        assert np.allclose(whole, found.vector, atol=1e-5), name


def test_weights_are_stored_once(made):
    _, folder, _, _ = made
    size = {path.stem: path.stat().st_size for path in folder.glob("*.onnx")}
    weights = onnx.load(str(folder / "both.onnx")).graph.initializer
    seen = [(tuple(each.dims), each.raw_data) for each in weights]
    assert len(set(seen)) == len(seen)
    stored = {name: _weight_bytes(folder / f"{name}.onnx") for name in ("small", "large", "both")}
    stitches = 4 * (8 * 24 + 24 + 12 * 36 + 36)
    assert stored["both"] <= stored["small"] + stored["large"] + stitches + 1000
    assert stored["both"] >= stored["large"] + stitches
    assert size["half"] < size["both"]


def _weight_bytes(path):
    return sum(len(each.raw_data) for each in onnx.load(str(path)).graph.initializer)


def test_the_file_is_a_whole_onnx_model(made):
    onnx.checker.check_model(str(made[1] / "both.onnx"))


def test_what_cannot_be_in_one_file_is_refused(made, tmp_path):
    joined, _, _, traced = made
    with pytest.raises(LearnError, match="the card lists the stitches"):
        export_stitched(joined, CARD | {"stitches": CARD["stitches"][:2]}, tmp_path / "a.onnx")
    less = onnx.ModelProto()
    less.CopyFrom(traced[0])
    del less.graph.output[-1]
    with pytest.raises(LearnError, match="routes small and switch-2 cannot be in one file"):
        export_stitched(joined, CARD, tmp_path / "a.onnx", traced=[less, *traced[1:]])
    assert not (tmp_path / "a.onnx").exists()


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Checkpoints as `glocal train` leaves them, and the large model's file."""
    tmp_path = tmp_path_factory.mktemp("trained")
    settings = tiny_settings()
    photos = make_plain(tmp_path / "photos", 40)
    squares = [Image.open(path).resize((32, 32)) for path in sorted(photos.rglob("*.png"))]
    seen = torch.from_numpy(np.stack([np.asarray(each) for each in squares]))
    seen = seen.permute(0, 3, 1, 2).float() / 255
    for name in ("small", "large"):
        torch.manual_seed(len(name) + ord(name[0]))
        model = build_model(backbone="tiny", head="gem", dim=8, weights="none").train()
        for _ in range(60):  # statistics such as trained models have
            model.backbone(seen)
        model.eval()
        (tmp_path / f"{name}.run").mkdir()
        state = {"model": model.state_dict(), "settings": settings.as_dict(), "step": 3}
        checkpoint.save(tmp_path / f"{name}.run" / "best.pt", state)
    card = make_card(
        model, settings, name="large", space="the space", licence="MIT", training_data=[]
    )
    export(model, card, tmp_path / "large.onnx")
    return tmp_path, photos, model


def test_glocal_stitch_makes_the_file_and_keeps_the_space(trained, tmp_path):
    folder, photos, _ = trained
    output = tmp_path / "both.onnx"
    arguments = [
        "stitch", str(folder / "small.run"), str(folder / "large.run"), str(photos),
        "-o", str(output), "--epochs", "2", "--batch", "6", "--side", "32", "--input-side", "64",
        "--workers", "1", "--device", "cpu", "--licence", "MIT",
    ]  # fmt: skip
    done = CliRunner().invoke(glocal, arguments, standalone_mode=False)
    assert done.exit_code == 0, done.exception
    assert "vectors of the space the space" in done.output
    encoder = OnnxEncoder(output)
    assert [each.name for each in encoder.stitches] == list(NAMES)
    assert encoder.stitches[-1].agreement == 1
    assert max(each.time for each in encoder.stitches) == 1
    assert all(each.macs > 0 for each in encoder.stitches)
    assert encoder.card.licence == "MIT"
    assert encoder.space == OnnxEncoder(tmp_path / "both-half.onnx").space == "the space"
    image = photo(3)
    (new,), (old,) = encoder.encode([image]), OnnxEncoder(folder / "large.onnx").encode([image])
    assert np.allclose(new.vector, old.vector, atol=1e-5)  # not a bit of it was trained


def test_training_stops_continues_and_comes_closer(trained, tmp_path):
    folder, photos, model = trained
    settings = tiny_settings(epochs=20, lr=5e-3, average=0.8, strength=0)
    small, large = folder / "small.run", folder / "large.run"
    listener = Quiet()
    stopped = train_stitches(
        small, large, photos, settings, run=tmp_path / "run", listener=listener,
        stop=lambda: len(listener.steps) >= 5,
    )  # fmt: skip
    assert not stopped.finished
    assert stopped.agreement == ()
    resumed = train_stitches(small, large, photos, settings, run=tmp_path / "run", listener=Quiet())
    whole = train_stitches(
        small, large, photos, settings, run=tmp_path / "other", listener=listener
    )
    assert resumed.finished
    assert resumed.step == whole.step
    for key, value in whole.joined.state_dict().items():
        assert torch.equal(value, resumed.joined.state_dict()[key]), key
    for key, value in model.state_dict().items():
        if not key.startswith("cells"):  # these are fitted
            assert torch.equal(value, whole.joined.large.state_dict()[key]), key
    begun = train_stitches(
        small,
        large,
        photos,
        replace(settings, epochs=0.01),
        run=tmp_path / "short",
        listener=Quiet(),
    )
    assert np.mean(whole.agreement) > np.mean(begun.agreement) + 0.05
    assert shared_space(model, folder / "large.onnx", [photo(0)], 64) == "the space"
    assert shared_space(model, folder / "large.onnx", [photo(0)], 96) is None
    other, _ = read_model(small)
    assert shared_space(other, folder / "large.onnx", [photo(0)], 64) is None


def test_what_is_no_training_is_told(tmp_path):
    with pytest.raises(LearnError, match="there is no checkpoint"):
        read_model(tmp_path)
    checkpoint.save(tmp_path / "best.pt", {"model": {}, "settings": {"head": "gem"}})
    with pytest.raises(LearnError, match="are incomplete"):
        read_model(tmp_path)
    done = CliRunner().invoke(
        glocal, ["stitch", "nowhere.run", str(tmp_path), str(tmp_path), "-o",
                 str(tmp_path / "x.onnx"), "--minutes", "1"], standalone_mode=False,
    )  # fmt: skip
    assert "there is no training nowhere.run" in str(done.exception)
