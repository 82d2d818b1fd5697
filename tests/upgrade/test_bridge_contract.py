"""What every bridge promises, for each in the registry."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bridge_spaces import first_hits, queries_of, spaces
from glocal.errors import BridgeError
from glocal.registry import names, part
from glocal.upgrade import Bridge, load_bridge, make_bridge, save_bridge

BRIDGES = names("bridge")
each_bridge = pytest.mark.parametrize("name", BRIDGES)
QUICK = {"mlp": {"width": 16, "epochs": 3}}
# The strongest directions of the space, so that another image than before may be next.
HOLDS_BACK = {"cca-kept", "mlp", "displacement", "combination", "omnibind"}
HELD = slice(200, None)


def fitted(name: str, old: np.ndarray, new: np.ndarray) -> Bridge:
    made = make_bridge(name, **QUICK.get(name, {}))
    return made.fit(old[:200], queries_of(name, old, new)[:200])


@pytest.fixture(scope="module")
def pairs() -> tuple[np.ndarray, np.ndarray]:
    return spaces()


@pytest.fixture(scope="module")
def bridges(pairs) -> dict[str, Bridge]:
    return {name: fitted(name, *pairs) for name in BRIDGES}


@each_bridge
def test_the_registry_says_what_the_class_says(name, bridges):
    row = part("bridge", name)
    assert bridges[name].name == name
    assert bridges[name].keeps_gallery == ("keeps-gallery" in row.traits)


@each_bridge
def test_both_sides_are_unit_rows_of_the_same_length(name, pairs, bridges):
    old, new = pairs
    bridge = bridges[name]
    asked, kept = bridge.queries(queries_of(name, old, new)[HELD]), bridge.gallery(old[HELD])
    assert asked.dtype == kept.dtype == np.float32
    assert asked.shape == kept.shape == (40, bridge.dim)
    assert np.allclose(np.linalg.norm(asked, axis=1), 1, atol=1e-5)
    assert np.allclose(np.linalg.norm(kept, axis=1), 1, atol=1e-5)


@each_bridge
def test_a_kept_gallery_is_the_same_array_and_a_mapped_one_leaves_its_input_alone(
    name, pairs, bridges
):
    old = pairs[0][HELD].copy()
    before = old.tobytes()
    found = bridges[name].gallery(old)
    assert (found is old) == bridges[name].keeps_gallery
    assert old.tobytes() == before


@each_bridge
def test_queries_find_their_own_image_among_those_it_was_not_fitted_to(name, pairs, bridges):
    old, new = pairs
    bridge = bridges[name]
    found = first_hits(bridge.queries(queries_of(name, old, new)[HELD]), bridge.gallery(old[HELD]))
    assert (found == np.arange(40)).mean() > 0.5  # chance is 1 / 40


@each_bridge
def test_where_old_is_new_queries_rank_as_the_mapped_gallery_itself(name):
    old, _ = spaces(noise=0.3)
    bridge = fitted(name, old, old)
    asked, kept = bridge.queries(queries_of(name, old, old)[HELD]), bridge.gallery(old[HELD])
    assert np.array_equal(first_hits(asked, kept), np.arange(40))
    own, crossed = kept @ kept.T, asked @ kept.T
    np.fill_diagonal(own, -1), np.fill_diagonal(crossed, -1)
    if name not in HOLDS_BACK:
        assert (own.argmax(axis=1) == crossed.argmax(axis=1)).all()


@each_bridge
def test_the_length_of_a_vector_does_not_matter(name, pairs, bridges):
    old, new = pairs
    asked = queries_of(name, old, new)[HELD]
    assert np.allclose(bridges[name].queries(3 * asked), bridges[name].queries(asked), atol=1e-5)


@each_bridge
def test_a_query_is_mapped_alone_as_among_others(name, pairs, bridges):
    old, new = pairs
    asked = queries_of(name, old, new)[HELD]
    alone = np.concatenate([bridges[name].queries(row[None]) for row in asked[:5]])
    assert np.allclose(alone, bridges[name].queries(asked)[:5], atol=1e-5)
    assert bridges[name].queries(asked[:0]).shape == (0, bridges[name].dim)


@each_bridge
def test_fitting_twice_gives_the_same_arrays(name, pairs, bridges):
    again = fitted(name, *pairs).arrays()
    first = bridges[name].arrays()
    assert first.keys() == again.keys()
    assert all(np.array_equal(first[key], again[key]) for key in first)


@each_bridge
def test_a_file_gives_back_the_same_bridge(name, pairs, bridges, tmp_path: Path):
    old, new = pairs
    bridge = bridges[name]
    saved = save_bridge(
        tmp_path / "b", bridge, old_space="a", new_space="b", anchors=200, glocal_version="1"
    )
    read, card = load_bridge(tmp_path / "b")
    assert card == saved
    assert (card.name, card.anchors, card.dim) == (name, 200, bridge.dim)
    asked = queries_of(name, old, new)[HELD]
    assert np.array_equal(read.queries(asked), bridge.queries(asked))
    assert np.array_equal(read.gallery(old[HELD]), bridge.gallery(old[HELD]))


@each_bridge
def test_impossible_vectors_are_refused(name, pairs, bridges):
    old, new = pairs
    bridge, asked = bridges[name], queries_of(name, old, new)
    with pytest.raises(BridgeError, match="use vectors of the models that it was fitted for"):
        bridge.queries(asked[:, 1:])
    with pytest.raises(BridgeError, match="use vectors of the models that it was fitted for"):
        bridge.gallery(old[:, 1:])
    with pytest.raises(BridgeError, match="nan or infinite number in row 1"):
        bridge.queries(np.where(np.arange(len(asked))[:, None] == 1, np.nan, asked))
    with pytest.raises(BridgeError, match="is not fitted; call fit first"):
        make_bridge(name).queries(asked)
    with pytest.raises(BridgeError, match="in the same order"):
        make_bridge(name).fit(old, asked[:-1])
    with pytest.raises(BridgeError, match="too few for a bridge; encode at least"):
        make_bridge(name).fit(old[:1], asked[:1])


@each_bridge
def test_images_that_are_all_the_same_do_not_break_it(name):
    old, new = (np.repeat(side[:1], 60, axis=0) for side in spaces())
    asked = queries_of(name, old, new)
    bridge = make_bridge(name, **QUICK.get(name, {})).fit(old, asked)
    assert np.isfinite(bridge.queries(asked)).all()
    assert np.isfinite(bridge.gallery(old)).all()


def test_an_unknown_setting_is_named():
    with pytest.raises(BridgeError, match=r"cannot be made so: .*'speed'"):
        make_bridge("ridge", speed=2)
