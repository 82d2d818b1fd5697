"""The map that lets texts search the vectors of another model."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.errors import BridgeError
from glocal.query.text_to_concept import TextToConcept, anchor_views
from glocal.registry import names, part

COUNT = 400


@pytest.fixture(scope="module")
def spaces() -> tuple[np.ndarray, np.ndarray]:
    """Vectors of the same images by a model of 32 numbers and one of 12."""
    random = np.random.default_rng(0)
    shown = random.normal(size=(COUNT, 10))
    old, new = (shown @ random.normal(size=(10, dim)) for dim in (32, 12))
    rows = [each + 0.2 * random.normal(size=each.shape) for each in (old, new)]
    return tuple((r / np.linalg.norm(r, axis=1, keepdims=True)).astype(np.float32) for r in rows)


@pytest.mark.parametrize("name", names("query", trait="concepts"))
def test_vectors_of_texts_find_the_images_that_they_lie_nearest_to(name, spaces) -> None:
    vectors, concepts = spaces
    found = part("query", name).load()().fit(vectors[:200], concepts[:200])
    texts, images = concepts[200:], found.concepts(vectors[200:])
    ranks = (texts @ images.T >= (texts * images).sum(1, keepdims=True)).sum(1)
    assert (ranks <= 10).mean() > 0.9  # chance is 10 / 200


def test_directions_order_images_as_the_map_does_before_it_scales_them(spaces) -> None:
    vectors, concepts = spaces
    made = TextToConcept().fit(vectors[:200], concepts[:200])
    arrays = made.bridge.arrays()
    mapped = vectors[200:] @ arrays["map"] + arrays["shift"]
    by_map = np.argsort(-(concepts[200:] @ mapped.T), axis=1, kind="stable")
    directions = made.directions(3 * concepts[200:])
    assert directions.shape == (200, 32)
    assert np.allclose(np.linalg.norm(directions, axis=1), 1, atol=1e-5)
    by_direction = np.argsort(-(directions @ vectors[200:].T), axis=1, kind="stable")
    assert (by_direction == by_map).mean() > 0.999  # but for rounding


def test_what_does_not_fit_is_refused(spaces) -> None:
    vectors, concepts = spaces
    made = TextToConcept().fit(vectors, concepts)
    with pytest.raises(BridgeError, match="vectors of texts have 32 numbers"):
        made.directions(vectors)
    with pytest.raises(BridgeError, match="new vectors have 12 numbers"):
        made.concepts(concepts)
    with pytest.raises(BridgeError, match="not fitted"):
        TextToConcept().concepts(vectors)


def test_views_of_an_anchor_are_itself_mirrored_and_its_middle() -> None:
    image = np.arange(16 * 24 * 3, dtype=np.uint8).reshape(16, 24, 3)
    whole, mirrored, middle = anchor_views(image)
    assert (whole == image).all()
    assert all((mirrored[:, x] == image[:, 23 - x]).all() for x in range(24))
    assert (middle == image[2:14, 3:21]).all()
    assert [len(anchor_views(image, count)) for count in (1, 2, 3, 9)] == [1, 2, 3, 3]
