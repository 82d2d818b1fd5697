"""Every detector of the registry: what its local features promise and what they verify."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from glocal.encoders import LocalFeatures, detect_at_scales, load_encoder, open_detector
from glocal.encoders.xfeat import XFeat
from glocal.errors import MissingExtraError, ModelError, PartError
from glocal.gallery.packed_features import MOST_BYTES, pack, unpack
from glocal.ranking.calibration import calibration_for
from glocal.ranking.verification import Settings, verify
from glocal.registry import names


@pytest.fixture(scope="module", params=names("detector"))
def detector(request):
    try:
        return open_detector(request.param, load_encoder())
    except MissingExtraError as error:
        pytest.skip(str(error))


def busy(seed: int, height: int = 300, width: int = 400) -> np.ndarray:
    """Rectangles of many sizes and colours."""
    rng = np.random.default_rng(seed)
    image = np.full((height, width, 3), rng.integers(60, 190, 3), np.uint8)
    for _ in range(150):
        x, y = rng.integers(0, width), rng.integers(0, height)
        w, h = rng.integers(4, 60, 2)
        image[y : y + h, x : x + w] = rng.integers(0, 255, 3)
    return image


def test_local_features_are_valid_and_fit_into_sixteen_kilobytes(detector):
    local = detector.detect(busy(0))
    assert len(local) > 50
    assert local.keypoints.dtype == local.descriptors.dtype == local.scores.dtype == np.float32
    assert local.keypoints.min() >= 0
    assert local.keypoints.max() <= 1
    np.testing.assert_allclose(np.linalg.norm(local.descriptors, axis=1), 1, atol=1e-3)
    assert np.all(np.diff(local.scores) <= 0)
    packed = pack(local)
    assert len(packed) <= 16 * 1024
    back = unpack(packed)
    assert np.abs(back.keypoints - local.keypoints).max() < 1e-4
    least = 0.98 if len(local) * (6 + local.descriptors.shape[1]) < MOST_BYTES else 0.85
    assert (back.descriptors * local.descriptors).sum(axis=1).min() > least


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (500, 3), (40, 40)])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_tiny_and_blank_images_are_images(detector, shape, grey):
    local = detector.detect(np.full((*shape, 3), grey, np.uint8))
    assert np.isfinite(local.descriptors).all()
    calibration = calibration_for(detector.name)
    if calibration is not None:
        assert len(local.scored_above(calibration.min_score)) == 0


def photo(name: str, width: int, height: int) -> np.ndarray:
    """One of the demo's photos, as that many pixels."""
    folder = Path(pytest.importorskip("skimage").__file__).parent / "data"
    with Image.open(folder / name) as opened:
        return np.array(opened.convert("RGB").resize((width, height)))


def test_an_object_that_is_small_in_a_corner_is_verified(detector):
    thing, scene = photo("astronaut.png", 400, 300), photo("rocket.jpg", 800, 600)
    scene[60:210, 500:700] = thing[::2, ::2]
    calibration = calibration_for(detector.name)
    settings = calibration.settings if calibration else Settings(0.7, 0.03)
    query = detect_at_scales(detector, thing)
    found = verify(query, detector.detect(scene), (400, 300), (800, 600), settings)
    assert found.homography is not None
    middle = found.homography @ [0.5, 0.5, 1]
    np.testing.assert_allclose(middle[:2] / middle[2], [600 / 800, 135 / 600], atol=0.05)
    other = photo("motorcycle_right.png", 800, 600)
    nothing = verify(query, detector.detect(other), (400, 300), (800, 600), settings)
    assert nothing.inliers < found.inliers


def test_several_scales_are_the_single_ones_together(detector):
    image = busy(4)
    together = detect_at_scales(detector, image, (1.0, 0.5))
    one, half = detector.detect(image), detector.detect(image, scale=0.5)
    assert len(together) == len(one) + len(half)
    np.testing.assert_array_equal(together.descriptors[: len(one)], one.descriptors)
    np.testing.assert_array_equal(together.keypoints[len(one) :], half.keypoints)


def test_low_scores_are_left_out():
    scores = np.array([3, 2, 1], np.float32)
    local = LocalFeatures(np.zeros((3, 2), np.float32), np.eye(3, dtype=np.float32), scores)
    assert local.scored_above(2).scores.tolist() == [3]
    assert len(local.scored_above(9)) == 0


def test_an_unknown_detector_is_answered_with_those_there_are():
    with pytest.raises(PartError, match="no detector named 'xfaet'; did you mean 'xfeat'"):
        open_detector("xfaet", load_encoder())


def test_a_model_that_is_not_a_detector_is_refused(tmp_path):
    from glocal.encoders import bundled_models

    with pytest.raises(ModelError, match="not a detector"):
        XFeat(bundled_models()["glocal-lite0"])
    with pytest.raises(ModelError, match="no model file"):
        XFeat(tmp_path / "none.onnx")
