"""Image-text pairs as exporters write them: found, understood, and run."""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("tokenizers", reason="the extra text is not installed")

from glocal.encoders.image_text import (
    CombinerModel,
    ImageModel,
    ImageSettings,
    TextModel,
    TokenSettings,
    token_settings,
)
from glocal.encoders.image_text_files import find_pair
from glocal.errors import MissingExtraError, ModelError
from made_pair import COLOURS, DIM, write_pair


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("pair") / "tiny", combiner=True)


def solid(colour: tuple[int, int, int], high: int = 20, wide: int = 30) -> np.ndarray:
    return np.full((high, wide, 3), colour, np.uint8)


def test_words_are_nearest_to_the_images_they_describe(folder: Path) -> None:
    pair = find_pair(str(folder))
    images = ImageModel(pair)
    texts = TextModel(pair.text, pair.tokenizer, token_settings(pair))
    seen = np.stack([images.encode(solid(colour)) for colour in COLOURS.values()])
    said = np.stack([texts.encode(f"Something {word}") for word in COLOURS])
    assert seen.dtype == said.dtype == np.float32
    assert np.allclose(np.linalg.norm(seen, axis=1), 1, atol=1e-5)
    assert ((said @ seen.T).argmax(axis=1) == np.arange(3)).all()


def test_a_file_of_the_pair_and_a_folder_below_name_the_same_pair(
    folder: Path, tmp_path: Path
) -> None:
    whole = find_pair(str(folder))
    assert (whole.name, whole.licence) == ("tiny", "mit")
    assert find_pair(str(folder / "text_model.onnx")).space == whole.space
    below = write_pair(tmp_path / "other")
    (below / "onnx").mkdir()
    for name in ("vision_model.onnx", "text_model.onnx"):
        (below / name).rename(below / "onnx" / name)
    found = find_pair(str(below))
    assert found.space == whole.space
    assert found.combiner is None
    assert find_pair(str(below / "onnx" / "vision_model.onnx")).text == found.text


def test_the_layout_of_open_clip_is_understood(folder: Path, tmp_path: Path) -> None:
    made = write_pair(tmp_path / "clip")
    for side, name in (("visual", "vision_model.onnx"), ("textual", "text_model.onnx")):
        (made / side).mkdir()
        (made / name).rename(made / side / "model.onnx")
    (made / "tokenizer.json").rename(made / "textual" / "tokenizer.json")
    (made / "preprocessor_config.json").unlink()
    settings = {
        "size": [8, 8], "interpolation": "bicubic", "resize_mode": "shortest",
        "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25],
    }  # fmt: skip
    (made / "visual" / "preprocess_cfg.json").write_text(json.dumps(settings))
    pair = find_pair(str(made))
    image = ImageModel(pair).settings.prepared(solid((255, 128, 0)))
    assert image.shape == (1, 3, 8, 8)
    assert np.allclose(image[0, :, 0, 0], [2, 0.0078, -2], atol=1e-3)
    assert find_pair(str(made / "visual" / "model.onnx")).space == pair.space


def test_images_are_cut_where_the_model_was_trained_so_and_squashed_otherwise() -> None:
    wide = np.zeros((10, 40, 3), np.uint8)
    wide[:, 15:25] = 255  # the middle
    cut = ImageSettings.of(
        {"size": {"shortest_edge": 8}, "crop_size": 8, "resample": 0, "do_normalize": False}
    )
    assert cut.prepared(wide).mean() == pytest.approx(1.0)
    squashed = ImageSettings.of(
        {"size": {"height": 8, "width": 8}, "resample": 0, "do_normalize": False}
    )
    assert squashed.prepared(wide).mean() == pytest.approx(0.25)


def test_an_image_of_one_row_is_cut_before_it_is_enlarged() -> None:
    cut = ImageSettings(224, 224, True, 224, 2, (0.0,) * 3, (1.0,) * 3)
    row = np.zeros((1, 30_000, 3), np.uint8)  # some 4 GB if it were enlarged as a whole
    row[:, 14_990:15_010] = 255
    assert cut.prepared(row).shape == (1, 3, 224, 224)
    assert cut.prepared(row).mean() == pytest.approx(1.0)
    with pytest.raises(ModelError, match=r"copy preprocessor_config\.json"):
        ImageSettings.of({"size": {"height": 8}})


def test_texts_are_filled_up_only_where_the_model_wants_it(folder: Path, tmp_path: Path) -> None:
    fixed = find_pair(str(write_pair(tmp_path / "fixed", tokens=6)))
    settings = token_settings(fixed)
    assert settings == TokenSettings(longest=6, padded=True, pad_id=0)
    free = find_pair(str(folder))
    assert token_settings(free) == TokenSettings(longest=77, padded=False, pad_id=0)
    by_fixed = TextModel(fixed.text, fixed.tokenizer, settings).encode("red")
    by_free = TextModel(free.text, free.tokenizer, token_settings(free)).encode("red")
    assert np.allclose(by_fixed, by_free)


def test_a_long_text_keeps_its_beginning_and_its_last_token(folder: Path) -> None:
    pair = find_pair(str(folder))
    short = TextModel(pair.text, pair.tokenizer, TokenSettings(3, padded=False, pad_id=0))
    assert np.allclose(short.encode("red red green green blue"), short.encode("red red blue"))


def test_a_combiner_is_run(folder: Path) -> None:
    pair = find_pair(str(folder))
    assert pair.combiner is not None
    image, text = np.eye(DIM, dtype=np.float32)[:2]
    assert np.allclose(
        CombinerModel(pair.combiner).combine(image, text), [0.4472, 0.8944, 0, 0], atol=1e-4
    )
    with pytest.raises(ModelError, match="a combiner takes image and text"):
        CombinerModel(pair.text)


def test_what_is_no_pair_is_refused_with_what_to_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"give a folder that has vision_model\.onnx and text_mod"):
        find_pair(str(tmp_path / "nothing.onnx"))
    with pytest.raises(ModelError, match="export the model to ONNX"):
        find_pair(str(tmp_path))
    half = write_pair(tmp_path / "half")
    (half / "tokenizer.json").unlink()
    with pytest.raises(ModelError, match=r"has no tokenizer\.json; copy all files"):
        find_pair(str(half))
    (half / "text_model.onnx").rename(half / "model.onnx")
    with pytest.raises(ModelError, match="as two files"):
        find_pair(str(half / "model.onnx"))
    pair = find_pair(str(folder))
    with pytest.raises(ModelError, match="a text model takes input_ids"):
        TextModel(pair.image, pair.tokenizer, token_settings(pair))
    with pytest.raises(ModelError, match=r"tokeniser .* cannot be read"):
        TextModel(pair.text, pair.image, token_settings(pair))


def test_a_hub_name_is_downloaded_or_says_what_is_missing(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted: dict[str, object] = {}

    def snapshot_download(repository: str, **options: object) -> str:
        wanted.update(options, repository=repository)
        return str(folder)

    hub = types.SimpleNamespace(snapshot_download=snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", hub)
    pair = find_pair("someone/clip@main")
    assert (pair.name, wanted["repository"], wanted["revision"]) == (
        "someone/clip", "someone/clip", "main",
    )  # fmt: skip
    assert "onnx/text_model.onnx" in wanted["allow_patterns"]
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r"glocal\[hub\]"):
        find_pair("someone/clip")


def test_without_the_extra_the_error_says_how_to_install_it(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"glocal\[text\]"):
        token_settings(find_pair(str(folder)))
