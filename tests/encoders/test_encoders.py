"""What every encoder must do; the bundled models and a tiny one stand for all."""

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from made_model import FIVE, FOUR, OLD_FOUR, card, write_model

from glocal.encoders import OnnxEncoder, bundled_models, load_encoder
from glocal.encoders.hashes import file_sha256
from glocal.encoders.scales import mean_grid, mean_vector
from glocal.encoders.spaces import space_of
from glocal.errors import ImageError, ModelError

SHAPES = [(1, 1), (1, 20_000), (37, 5), (64, 64), (240, 320), (320, 240), (700, 500)]


@pytest.fixture(scope="module", params=["tiny", *bundled_models()])
def encoder(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> OnnxEncoder:
    if request.param == "tiny":
        path = tmp_path_factory.mktemp("model") / "tiny.onnx"
        return OnnxEncoder(write_model(path, outputs=FIVE))
    return load_encoder(request.param, sessions=2)


def image(shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*shape, 3), dtype=np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_features_have_the_promised_shapes_and_types(
    encoder: OnnxEncoder, shape: tuple[int, int]
) -> None:
    (features,) = encoder.encode([image(shape)])
    count, width = features.descriptors.shape
    assert features.vector.shape == (encoder.dim,)
    assert features.keypoints.shape == (count, 2)
    assert features.scores.shape == (count,)
    for array in (features.vector, features.keypoints, features.descriptors, features.scores):
        assert array.dtype == np.float32
        assert np.isfinite(array).all()
    assert np.linalg.norm(features.vector) == pytest.approx(1, abs=1e-3)
    assert np.linalg.norm(features.descriptors, axis=1) == pytest.approx(np.ones(count), abs=1e-3)
    assert ((features.keypoints >= 0) & (features.keypoints <= 1)).all()
    assert (features.scores >= 0).all()
    assert width > 0


@pytest.mark.parametrize("value", [0, 128, 255])
def test_a_flat_image_is_a_valid_image(encoder: OnnxEncoder, value: int) -> None:
    (features,) = encoder.encode([np.full((100, 150, 3), value, np.uint8)])
    assert np.isfinite(features.vector).all()
    assert np.linalg.norm(features.vector) == pytest.approx(1, abs=1e-3)


def test_vectors_do_not_depend_on_other_images_or_threads(encoder: OnnxEncoder) -> None:
    images = [image((50 + 30 * i, 200 - 20 * i), i) for i in range(6)]
    alone = [encoder.encode([p])[0].vector for p in images]
    together = [f.vector for f in encoder.encode(images)]
    with ThreadPoolExecutor(4) as pool:
        threaded = list(pool.map(lambda p: encoder.encode([p])[0].vector, images * 3))
    assert np.array_equal(alone, together)
    assert np.array_equal(alone * 3, threaded)
    assert encoder.encode([]) == []


def test_different_images_differ(encoder: OnnxEncoder) -> None:
    red, blue = (np.full((64, 64, 3), c, np.uint8) for c in ([200, 10, 10], [10, 10, 200]))
    a, b = (f.vector for f in encoder.encode([red, blue]))
    assert float(a @ b) < 0.999


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((10, 10), np.uint8),
        np.zeros((10, 10, 4), np.uint8),
        np.zeros((0, 10, 3), np.uint8),
        np.zeros((10, 10, 3), np.float32),
    ],
)
def test_an_array_that_is_no_image_is_refused(encoder: OnnxEncoder, wrong: np.ndarray) -> None:
    with pytest.raises(ImageError, match="uint8"):
        encoder.encode([wrong])


@pytest.mark.parametrize("shape", SHAPES)
def test_contributions_add_up_to_the_vector(encoder: OnnxEncoder, shape: tuple[int, int]) -> None:
    parts = encoder.contributions(image(shape))
    assert parts.ndim == 3
    assert parts.dtype == np.float32
    (features,) = encoder.encode([image(shape)])
    np.testing.assert_allclose(parts.sum((0, 1)), features.vector, atol=1e-4)


@pytest.mark.parametrize("value", [0, 255])
def test_a_flat_image_has_contributions(encoder: OnnxEncoder, value: int) -> None:
    flat = np.full((100, 150, 3), value, np.uint8)
    parts, (features,) = encoder.contributions(flat), encoder.encode([flat])
    np.testing.assert_allclose(parts.sum((0, 1)), features.vector, atol=1e-4)


def test_contributions_change_where_the_image_changes(encoder: OnnxEncoder) -> None:
    """A new right half changes the right of the grid, and the left only by receptive fields."""
    left = np.tile(image((240, 160)), (1, 2, 1))
    other = left.copy()
    other[:, 160:] = 255 - other[:, 160:]
    lengths = [np.linalg.norm(encoder.contributions(p), axis=2) for p in (left, other)]
    changed = np.abs(lengths[0] - lengths[1]).sum(axis=0)
    half = len(changed) // 2
    assert changed[half:].sum() > 1.5 * changed[:half].sum()


def test_contributions_of_an_array_that_is_no_image_are_refused(encoder: OnnxEncoder) -> None:
    with pytest.raises(ImageError, match="uint8"):
        encoder.contributions(np.zeros((10, 10), np.uint8))


def test_a_model_without_contributions_says_so(tmp_path: Path) -> None:
    encoder = OnnxEncoder(write_model(tmp_path / "four.onnx"))
    assert encoder.encode([image((9, 9))])[0].vector.shape == (encoder.dim,)
    with pytest.raises(ModelError, match=r"tiny v1 .*four\.onnx.* no output 'contributions'"):
        encoder.contributions(image((9, 9)))


def test_scores_may_have_their_old_name(tmp_path: Path) -> None:
    new, old = (
        OnnxEncoder(write_model(tmp_path / f"{names[3]}.onnx", outputs=names))
        for names in (FOUR, OLD_FOUR)
    )
    (one,), (other,) = new.encode([image((9, 9))]), old.encode([image((9, 9))])
    assert np.array_equal(one.scores, other.scores)


def test_models_that_name_the_same_space_share_it(tmp_path: Path) -> None:
    text = json.dumps(card(space="colours-v1"))
    one, other = (
        OnnxEncoder(write_model(tmp_path / f"{seed}.onnx", seed=seed, text=text)) for seed in (0, 1)
    )
    assert one.space == other.space == one.card.space == "colours-v1"


def test_a_model_that_names_no_space_has_one_of_its_own(tmp_path: Path) -> None:
    one, other = (OnnxEncoder(write_model(tmp_path / f"{n}.onnx", seed=n)) for n in (0, 1))
    assert one.card.space is None
    assert one.space == "sha256:" + file_sha256(one.path)[:16]
    assert one.space == space_of(one.card, file_sha256(one.path).upper())
    assert one.space != other.space


def test_a_model_published_without_a_space_has_a_readable_one(version_2: Path) -> None:
    assert load_encoder("glocal-lite0").space == "glocal-lite0-v4"
    assert load_encoder(version_2).space == "glocal-lite0-v2"


def test_the_card_agrees_with_the_vectors(encoder: OnnxEncoder) -> None:
    card = encoder.card
    assert encoder.encode([image((9, 9))])[0].vector.shape == (card.dim,)
    assert card.licence
    assert card.version >= 1


def damaged(path: Path) -> Path:
    path.write_bytes(write_model(path).read_bytes()[:500])
    return path


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda p: p, "no model file"),
        (lambda p: (p.write_bytes(b""), p)[1], "ONNX Runtime cannot run the model"),
        (lambda p: (p.write_text("hello"), p)[1], "ONNX Runtime cannot run the model"),
        (damaged, "ONNX Runtime cannot run the model"),
        (lambda p: write_model(p, text=""), "without glocal's card"),
        (lambda p: write_model(p, text="{}"), "card of model"),
        (lambda p: write_model(p, outputs=["vector"]), "glocal needs"),
    ],
)
def test_a_bad_model_file_is_explained(
    tmp_path: Path, make: Callable[[Path], Path], said: str
) -> None:
    with pytest.raises(ModelError, match=said):
        OnnxEncoder(make(tmp_path / "bad.onnx"))


def test_a_vector_of_several_scales_is_their_mean(tmp_path: Path) -> None:
    one = OnnxEncoder(write_model(tmp_path / "one.onnx"))
    sizes = {"areas": [64 * 64, 32 * 32], "multiple": 32, "max_aspect": 4.0}
    two = OnnxEncoder(write_model(tmp_path / "two.onnx", text=json.dumps(card(input=sizes))))
    image = np.random.default_rng(0).integers(0, 256, (80, 80, 3), np.uint8)
    (large,), (small,) = one.encode([image]), one.encode([image], scale=0.5)
    assert large.vector @ small.vector < 0.9999
    mean = (large.vector + small.vector) / np.linalg.norm(large.vector + small.vector)
    (found,) = two.encode([image])
    np.testing.assert_allclose(found.vector, mean, atol=1e-6)
    np.testing.assert_array_equal(found.descriptors, large.descriptors)
    # What is compared with regions is of one scale.
    np.testing.assert_array_equal(two.encode([image], scale=0.5)[0].vector, small.vector)


def test_contributions_at_several_scales_lose_nothing() -> None:
    rng = np.random.default_rng(0)
    grids = [rng.normal(size=(*shape, 5)).astype(np.float32) for shape in ((6, 4), (4, 3), (7, 7))]
    grids = [grid / np.linalg.norm(grid.sum((0, 1))) for grid in grids]
    mean = mean_grid(grids)
    assert mean.shape == (6, 4, 5)
    np.testing.assert_allclose(
        mean.sum((0, 1)), mean_vector([grid.sum((0, 1)) for grid in grids]), atol=1e-5
    )
    # What is in one corner stays there.
    corner = np.zeros((4, 4, 1), np.float32)
    corner[0, 3] = 1
    there = mean_grid([np.zeros((6, 6, 1), np.float32), corner])
    assert there[:2, 4:].sum() == pytest.approx(1)
