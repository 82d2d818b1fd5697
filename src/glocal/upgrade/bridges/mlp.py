"""A small network that corrects the linear map, trained in seconds without a framework."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from glocal.errors import BridgeError
from glocal.upgrade.adam import Adam
from glocal.upgrade.bridge import Arrays, Bridge, taken
from glocal.upgrade.bridges.cca import KeptCanonicalCorrelation
from glocal.upgrade.contrast import contrast_gradient
from glocal.upgrade.ranks import mean_reciprocal_rank
from glocal.upgrade.vectors import Floats

BATCH, RATE, TEMPERATURE = 128, 1e-3, 0.05
_WEIGHTS = ("inner", "inner_shift", "outer", "outer_shift")


class ResidualMLP(Bridge):
    """``q = x A + b + relu(x W1 + c1) W2 + c2``; with ``W2 = 0`` it begins as ``cca-kept``.

    The network minimises the contrastive loss between queries and old vectors on nine tenths of the
    pairs, by Adam with a falling rate. Of all epochs, that whose queries find their own images
    earliest in the other tenth is kept, the linear map itself included.

    Source: He, Zhang, Ren and Sun, Deep Residual Learning for Image Recognition, 2016, for the sum;
    Wang et al., Unified Representation Learning for Cross Model Compatibility, 2020, for such
    networks between models.

    Deviations: one hidden layer, and a linear map instead of the identity.

    Args:
        width: Hidden units.
        epochs: Passes through the pairs.
        seed: Seed of the weights and of the order of the pairs.
    """

    name = "mlp"
    least_pairs = 20

    def __init__(self, width: int = 256, epochs: int = 20, seed: int = 0) -> None:
        super().__init__()
        if width < 1 or epochs < 0:
            raise BridgeError(f"width and epochs must be at least 1 and 0, not {width}, {epochs}")
        self.width, self.epochs, self.seed = width, epochs, seed
        self._linear: Arrays = {}
        self._net: Arrays = {}

    @property
    def dim(self) -> int:
        """That of the old space."""
        return self.old_dim

    def arrays(self) -> Arrays:
        """The linear map, its shift, and the weights of the network."""
        return {**self._linear, **self._net}

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over all of them."""
        new, old = self.new_dim, self.old_dim
        self._linear = {"map": taken(arrays, "map", new, old), "shift": taken(arrays, "shift", old)}
        width = len(taken(arrays, "inner_shift", None))
        shapes = ((new, width), (width,), (width, old), (old,))
        self._net = {
            name: taken(arrays, name, *shape) for name, shape in zip(_WEIGHTS, shapes, strict=True)
        }

    def _fit(self, old: Floats, new: Floats) -> None:
        random = np.random.default_rng(self.seed)
        order = random.permutation(len(old))
        kept, train = order[: len(old) // 10], order[len(old) // 10 :]
        self._linear = KeptCanonicalCorrelation().fit(old[train], new[train]).arrays()
        # The features have the scale that He et al. want: unit rows have variance 1 / d.
        self._net = {
            "inner": random.normal(0, np.sqrt(2), (self.new_dim, self.width)).astype(np.float32),
            "inner_shift": np.zeros(self.width, np.float32),
            "outer": np.zeros((self.width, self.old_dim), np.float32),
            "outer_shift": np.zeros(self.old_dim, np.float32),
        }
        best, chosen = self._score(old[kept], new[kept]), _copied(self._net)
        adam = Adam(self._net)
        steps = self.epochs * -(-len(train) // BATCH)
        for epoch in range(self.epochs):
            random.shuffle(train)
            for begin in range(0, len(train), BATCH):
                rows = train[begin : begin + BATCH]
                rate = RATE * (1 - (epoch * len(train) + begin) / BATCH / max(steps, 1))
                adam.step(self._gradients(old[rows], new[rows]), max(rate, 0))
            score = self._score(old[kept], new[kept])
            if score > best:
                best, chosen = score, _copied(self._net)
        self._net = chosen

    def _queries(self, new: Floats) -> Floats:
        linear, net = self._linear, self._net
        hidden = np.maximum(new @ net["inner"] + net["inner_shift"], 0)
        corrected = hidden @ net["outer"] + net["outer_shift"]
        return np.asarray(new @ linear["map"] + linear["shift"] + corrected, np.float32)

    def _score(self, old: Floats, new: Floats) -> float:
        return mean_reciprocal_rank(self._queries(new), old)

    def _gradients(self, old: Floats, new: Floats) -> Arrays:
        linear, net = self._linear, self._net
        hidden = np.maximum(new @ net["inner"] + net["inner_shift"], 0)
        q = new @ linear["map"] + linear["shift"] + hidden @ net["outer"] + net["outer_shift"]
        length = np.maximum(np.linalg.norm(q, axis=1, keepdims=True), 1e-12)
        direction = q / length
        to_direction = contrast_gradient(direction, old, TEMPERATURE)
        inwards = np.einsum("ij,ij->i", to_direction, direction)[:, None]
        to_q = (to_direction - inwards * direction) / length
        to_hidden = to_q @ net["outer"].T * (hidden > 0)
        return {
            "inner": new.T @ to_hidden,
            "inner_shift": to_hidden.sum(axis=0),
            "outer": hidden.T @ to_q,
            "outer_shift": to_q.sum(axis=0),
        }


def _copied(arrays: Arrays) -> Arrays:
    return {name: array.copy() for name, array in arrays.items()}
