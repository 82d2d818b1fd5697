"""OmniBind's routers: a query is seen by several models, and each query weighs them anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from glocal.errors import BridgeError
from glocal.upgrade.adam import Adam
from glocal.upgrade.bridge import Arrays, Bridge, nested, taken
from glocal.upgrade.bridges.cca import KeptCanonicalCorrelation
from glocal.upgrade.contrast import contrast_gradient, softmax
from glocal.upgrade.vectors import Floats, unit_rows

HIDDEN, BATCH, RATE, TEMPERATURE = 32, 128, 1e-2, 0.05
FOLDS = 5


class OmniBind(Bridge):
    """``q = Σ_k w_k(x) ψ_k(x_k)``, with ``w = softmax(W₂ tanh(W₁ x + b₁) + b₂)``.

    A query is encoded by several models and its vectors stand one behind the other, ``x = [x_1,
    ..., x_K]``. Each space is bound to the old one by its own map ψ_k; the router w learns, by the
    contrastive loss between queries and the old vectors of their images, which to trust. With one
    space the router has nothing to weigh, and the bridge is its map.

    Source: Wang et al., OmniBind: Large-scale Omni Multimodal Representation via Binding Spaces,
    ICLR 2025.

    Deviations: the maps ψ are those of ``cca-kept``, in closed form, where the paper trains
    projectors by contrast; the router learns from queries by maps that did not see the pair; its
    second objective, which keeps languages apart, has no meaning for images.

    Args:
        spaces: Lengths of the vectors of each model, in order; None for one model.
        steps: Training steps of the router, of 128 pairs each.
        seed: Seed of the router.
    """

    name = "omnibind"
    least_pairs = 10

    def __init__(
        self, spaces: Sequence[int] | None = None, steps: int = 300, seed: int = 0
    ) -> None:
        super().__init__()
        if spaces is not None and (not spaces or min(spaces) < 1):
            raise BridgeError(f"spaces must be lengths of at least 1, not {spaces!r}")
        if steps < 0:
            raise BridgeError(f"steps must be at least 0, not {steps!r}")
        self._spaces = None if spaces is None else tuple(spaces)
        self._steps, self._seed = steps, seed
        self._maps: list[KeptCanonicalCorrelation] = []
        self._router: Arrays = {}

    @property
    def dim(self) -> int:
        """That of the old space."""
        return self.old_dim

    def arrays(self) -> Arrays:
        """The lengths of the spaces, their maps, and the router."""
        held = {
            f"space.{number}.{name}": array
            for number, each in enumerate(self._maps)
            for name, array in each.arrays().items()
        }
        lengths = np.asarray([each.new_dim for each in self._maps], np.float32)
        return held | self._router | {"spaces": lengths}

    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over all of them."""
        lengths = [int(length) for length in taken(arrays, "spaces", None)]
        if not lengths or min(lengths) < 1 or sum(lengths) != self.new_dim:
            raise BridgeError(f"its spaces have the lengths {lengths}, not {self.new_dim} together")
        self._maps = []
        for number, length in enumerate(lengths):
            each = KeptCanonicalCorrelation()
            each.old_dim, each.new_dim = self.old_dim, length
            each.restore(nested(arrays, f"space.{number}"))
            self._maps.append(each)
        hidden = len(taken(arrays, "inner_shift", None))
        self._router = {
            "inner": taken(arrays, "inner", self.new_dim, hidden),
            "inner_shift": taken(arrays, "inner_shift", hidden),
            "outer": taken(arrays, "outer", hidden, len(lengths)),
            "outer_shift": taken(arrays, "outer_shift", len(lengths)),
        }

    def weights(self, new: Floats) -> Floats:
        """What each query gives to each space: ``(m, d_new)`` to ``(m, K)``, rows of sum 1."""
        return self._weights(self._joined(self._parted(new)))[1]

    def _fit(self, old: Floats, new: Floats) -> None:
        lengths = self._spaces or (self.new_dim,)
        if sum(lengths) != self.new_dim:
            raise BridgeError(
                f"spaces are {lengths}, together {sum(lengths)}, and new vectors have "
                f"{self.new_dim} numbers; join the vectors of all models, in this order"
            )
        self._maps = [KeptCanonicalCorrelation() for _ in lengths]
        for each, length in zip(self._maps, lengths, strict=True):
            each.old_dim, each.new_dim = self.old_dim, length
        parts = self._parted(new)
        seen = np.stack([_unseen(old, part) for part in parts], axis=1)
        for each, part in zip(self._maps, parts, strict=True):
            each.fit(old, part)
        random = np.random.default_rng(self._seed)
        self._router = {
            "inner": random.normal(0, 1, (self.new_dim, HIDDEN)).astype(np.float32),
            "inner_shift": np.zeros(HIDDEN, np.float32),
            "outer": np.zeros((HIDDEN, len(lengths)), np.float32),
            "outer_shift": np.zeros(len(lengths), np.float32),
        }
        if len(lengths) > 1:
            self._learn(self._joined(parts), seen, old, random)

    def _learn(self, x: Floats, seen: Floats, old: Floats, random: np.random.Generator) -> None:
        adam = Adam(self._router)
        for step in range(self._steps):
            rows = random.permutation(len(x))[:BATCH]
            rate = RATE * (1 - step / self._steps)
            adam.step(self._gradients(x[rows], seen[rows], old[rows]), rate)

    def _gradients(self, x: Floats, seen: Floats, old: Floats) -> Arrays:
        hidden, weights = self._weights(x)
        mixed = np.einsum("mk,mkd->md", weights, seen)
        length = np.maximum(np.linalg.norm(mixed, axis=1, keepdims=True), 1e-12)
        queries = mixed / length
        to_queries = contrast_gradient(queries, old, TEMPERATURE)
        inwards = np.einsum("md,md->m", to_queries, queries)[:, None]
        to_mixed = (to_queries - inwards * queries) / length
        to_weights = np.einsum("md,mkd->mk", to_mixed, seen)
        to_logits = weights * (to_weights - (weights * to_weights).sum(axis=1, keepdims=True))
        to_hidden = to_logits @ self._router["outer"].T * (1 - hidden**2)
        return {
            "inner": x.T @ to_hidden,
            "inner_shift": to_hidden.sum(axis=0),
            "outer": hidden.T @ to_logits,
            "outer_shift": to_logits.sum(axis=0),
        }

    def _queries(self, new: Floats) -> Floats:
        parts = self._parted(new)
        views = np.stack(
            [each.queries(part) for each, part in zip(self._maps, parts, strict=True)], axis=1
        )
        weights = self._weights(self._joined(parts))[1]
        return np.asarray(np.einsum("mk,mkd->md", weights, views), np.float32)

    def _weights(self, x: Floats) -> tuple[Floats, Floats]:
        hidden = np.tanh(x @ self._router["inner"] + self._router["inner_shift"])
        return hidden, softmax(hidden @ self._router["outer"] + self._router["outer_shift"])

    def _parted(self, new: Floats) -> list[Floats]:
        ends = np.cumsum([each.new_dim for each in self._maps])[:-1]
        return [unit_rows(part) for part in np.split(new, ends, axis=1)]

    def _joined(self, parts: Sequence[Floats]) -> Floats:
        return np.concatenate(parts, axis=1)


def _unseen(old: Floats, new: Floats) -> Floats:
    """Each pair's query by a map that was fitted to the other folds."""
    found, fold = np.empty_like(old), np.arange(len(old)) % FOLDS
    for number in range(FOLDS):
        held = fold == number
        found[held] = KeptCanonicalCorrelation().fit(old[~held], new[~held]).queries(new[held])
    return found
