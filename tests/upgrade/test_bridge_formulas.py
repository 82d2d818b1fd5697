"""Each bridge against a slow, obvious version of its formula, or a case with a known answer."""

from __future__ import annotations

import numpy as np
import pytest

from bridge_spaces import spaces
from glocal.errors import BridgeError
from glocal.upgrade import make_bridge
from glocal.upgrade.bridges.mlp import ResidualMLP
from glocal.upgrade.bridges.omnibind import TEMPERATURE, OmniBind
from glocal.upgrade.bridges.product import MEASURES
from glocal.upgrade.bridges.ridge import PENALTIES, Ridge
from glocal.upgrade.correlation import correlated_axes, thin_svd
from glocal.upgrade.vectors import unit_rows


def rotation(dim: int, seed: int = 0) -> np.ndarray:
    found = np.linalg.qr(np.random.default_rng(seed).normal(size=(dim, dim)))[0]
    return found.astype(np.float32)


def test_procrustes_undoes_a_rotation():
    old, _ = spaces()
    bridge = make_bridge("procrustes").fit(old[:100], old[:100] @ rotation(24))
    assert np.allclose(bridge.queries(old[100:] @ rotation(24)), old[100:], atol=1e-5)


def test_ridge_chooses_as_leaving_each_pair_out_does():
    old, new = spaces(60, noise=0.8)
    left_out = {penalty: _left_out_score(old, new, penalty) for penalty in PENALTIES}
    best = max(PENALTIES, key=lambda penalty: left_out[penalty])
    assert len(set(left_out.values())) > 4  # the choice matters
    fitted = Ridge().fit(old, new)
    assert fitted.penalty == best
    map_, shift = _slow_ridge(old, new, best, new - new.mean(axis=0))
    assert np.allclose(fitted.arrays()["map"], map_, atol=1e-5)
    assert np.allclose(fitted.arrays()["shift"], shift, atol=1e-5)


def _slow_ridge(old, new, penalty, reference):
    x, y = new.astype(float), old.astype(float)
    scale = penalty * (reference.astype(float) ** 2).sum() / x.shape[1]
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    gram = (x - x_mean).T @ (x - x_mean) + scale * np.eye(x.shape[1])
    map_ = np.linalg.solve(gram, (x - x_mean).T @ (y - y_mean))
    return map_, y_mean - x_mean @ map_


def _left_out_score(old, new, penalty):
    found = []
    for row in range(len(old)):
        rest = np.arange(len(old)) != row
        map_, shift = _slow_ridge(old[rest], new[rest], penalty, new - new.mean(axis=0))
        scores = old @ (new[row] @ map_ + shift)
        found.append(1 / (scores >= scores[row]).sum())
    return np.mean(found)


def test_the_kept_correlation_is_the_inner_product_of_both_sides():
    old, new = spaces()
    both, kept = (make_bridge(name).fit(old, new) for name in ("cca", "cca-kept"))
    halves = both.arrays()
    correlations = correlated_axes(
        *((side - side.mean(axis=0)).astype(float) for side in (new, old)), both.ridge
    ).correlations
    query = (new[:5] - halves["new_mean"]) @ halves["new_map"] / correlations
    slow = query @ halves["old_map"].T
    assert np.allclose(kept.queries(new[:5]), unit_rows(slow.astype(np.float32)), atol=1e-4)


@pytest.mark.parametrize("shape", [(50, 9), (9, 50)])
def test_the_thin_decomposition_is_that_of_numpy(shape):
    rows = np.random.default_rng(0).normal(size=shape)
    u, s, v = thin_svd(rows)
    assert np.allclose(s, np.linalg.svd(rows, compute_uv=False))
    assert np.allclose(u * s @ v.T, rows)
    assert np.allclose(u.T @ u, np.eye(9), atol=1e-7)


def test_correlated_axes_are_uncorrelated_within_and_correlated_as_they_say_between():
    first, second = (side.astype(float) for side in spaces(500))
    first, second = first - first.mean(axis=0), second - second.mean(axis=0)
    axes = correlated_axes(first, second, 1e-9)
    x, y = first @ axes.first, second @ axes.second
    assert np.allclose(x.T @ x / 500, np.eye(24), atol=1e-4)
    assert np.allclose(x.T @ y / 500, np.diag(axes.correlations), atol=1e-4)
    assert (np.diff(axes.correlations) <= 1e-9).all()


@pytest.mark.parametrize("name", ["relative", "product"])
def test_relative_vectors_do_not_change_when_axes_are_permuted_and_mirrored(name):
    old, _ = spaces()
    random = np.random.default_rng(0)
    moved = (old * random.choice([-1, 1], 24))[:, random.permutation(24)]
    bridge = make_bridge(name).fit(old[:100], moved[:100])
    assert np.allclose(bridge.queries(moved[100:]), bridge.gallery(old[100:]), atol=1e-4)


def test_relative_vectors_do_not_change_in_a_rotated_space_but_their_l1_part_does():
    old, _ = spaces()
    moved = old @ rotation(24)
    for name, settings, same in (
        ("relative", {"center": False}, True),
        ("product", {"measures": ("cosine", "euclidean")}, True),
        ("product", {"measures": ("l1",)}, False),
    ):
        bridge = make_bridge(name, **settings).fit(old[:100], moved[:100])
        apart = np.abs(bridge.queries(moved[100:]) - bridge.gallery(old[100:])).max()
        assert (apart < 1e-4) == same


def test_relative_vectors_are_the_cosines_to_the_anchors():
    old, new = spaces(50)
    bridge = make_bridge("relative", anchors=50, center=False).fit(old, new)
    cosines = np.asarray([[float(x @ a) for a in new] for x in new])
    assert np.allclose(bridge.queries(new), unit_rows(cosines.astype(np.float32)), atol=1e-5)


def test_the_product_is_its_standardised_measures_side_by_side():
    old, new = spaces(40)
    bridge = make_bridge("product", anchors=40, center=False).fit(old, new)
    slow = {
        "cosine": lambda x, a: x @ a,
        "euclidean": lambda x, a: np.sqrt(((x - a) ** 2).sum()),
        "l1": lambda x, a: np.abs(x - a).sum(),
        "linf": lambda x, a: np.abs(x - a).max(),
    }
    rows = []
    for x in new:
        parts = [
            np.asarray([slow[m](x.astype(float), a.astype(float)) for a in new]) for m in MEASURES
        ]
        rows.append(np.concatenate([(part - part.mean()) / part.std() for part in parts]))
    # The distance of a vector from itself is 0, of which float32 makes up to 1e-3.
    assert np.allclose(bridge.queries(new), unit_rows(np.asarray(rows, np.float32)), atol=2e-3)


def test_the_subspace_is_the_one_that_is_shared():
    random = np.random.default_rng(0)
    shared = random.normal(size=(400, 5))
    old, new = (
        np.concatenate([shared, 3 * random.normal(size=(400, 20))], axis=1) @ rotation(25, seed)
        for seed in (1, 2)
    )
    bridge = make_bridge("subspace", dims=(5, 25), ridge=1e-3).fit(old[:300], new[:300])
    found = bridge.queries(new[300:]) @ bridge.gallery(old[300:]).T
    assert bridge.dim == 5
    assert (found.argmax(axis=1) == np.arange(100)).mean() > 0.9
    whole = make_bridge("procrustes").fit(old[:300], new[:300])
    assert ((whole.queries(new[300:]) @ unit_rows(old[300:].astype(np.float32)).T).argmax(axis=1)
            == np.arange(100)).mean() < 0.7  # fmt: skip


def test_a_combination_without_weight_is_the_old_search():
    old, new = spaces()
    both = np.concatenate([old, new], axis=1)
    none = make_bridge("combination", factor=0).fit(old[:100], both[:100])
    assert np.allclose(none.queries(both[100:]), old[100:], atol=1e-6)
    with pytest.raises(BridgeError, match="encode the images by both models"):
        make_bridge("combination").fit(old, new)
    with pytest.raises(BridgeError, match="encode the images by both models"):
        make_bridge("combination").fit(old, np.concatenate([old[::-1], new], axis=1))


def test_the_router_trusts_the_space_that_tells_images_apart():
    old, good = spaces(noise=0.05)
    useless = unit_rows(np.random.default_rng(5).normal(size=good.shape).astype(np.float32))
    router = OmniBind(spaces=(32, 32)).fit(old, np.concatenate([good, useless], axis=1))
    weights = router.weights(np.concatenate([good, useless], axis=1))
    assert np.allclose(weights.sum(axis=1), 1, atol=1e-6)
    assert weights[:, 0].mean() > 0.6
    with pytest.raises(BridgeError, match="join the vectors of all models"):
        OmniBind(spaces=(32, 31)).fit(old, np.concatenate([good, useless], axis=1))


def slow_contrast(queries, gallery):
    scores = queries @ gallery.T / TEMPERATURE
    return float(np.mean(np.log(np.exp(scores).sum(axis=1)) - np.diag(scores)))


def test_the_gradients_of_the_network_are_those_of_its_loss():
    old, new = spaces(16)
    net = ResidualMLP(width=8, epochs=0)
    net.fit(*spaces(40))
    random = np.random.default_rng(0)
    _disturb(net._net, random)

    def loss() -> float:
        return slow_contrast(net.queries(new).astype(float), old)

    _check_gradients(net._net, net._gradients(old, new), loss, random)


def test_the_gradients_of_the_router_are_those_of_its_loss():
    old, new = spaces(16)
    router = OmniBind(spaces=(16, 16), steps=0).fit(*spaces(40))
    random = np.random.default_rng(0)
    seen = unit_rows(random.normal(size=(32, 24)).astype(np.float32)).reshape(16, 2, 24)
    x = router._joined(router._parted(new))
    _disturb(router._router, random)

    def loss() -> float:
        weights = router._weights(x)[1].astype(float)
        mixed = np.einsum("mk,mkd->md", weights, seen)
        return slow_contrast(mixed / np.linalg.norm(mixed, axis=1, keepdims=True), old)

    _check_gradients(router._router, router._gradients(x, seen, old), loss, random)


def _disturb(weights, random):
    for array in weights.values():
        np.add(array, random.normal(0, 0.3, array.shape), out=array, casting="same_kind")


def _check_gradients(weights, gradients, loss, random):
    step = 3e-3
    for name, gradient in gradients.items():
        for index in random.permutation(gradient.size)[:6]:
            place = np.unravel_index(index, gradient.shape)
            weights[name][place] += step
            above = loss()
            weights[name][place] -= 2 * step
            below = loss()
            weights[name][place] += step
            slope = (above - below) / (2 * step)
            assert slope == pytest.approx(gradient[place], rel=0.05, abs=2e-4), name
