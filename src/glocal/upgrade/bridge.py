"""What a bridge is: queries of a new model search a gallery that an old model encoded.

A bridge is fitted to pairs: the vectors of the same images in both spaces. Then it brings queries
of the new model and vectors of the old one into a common space, in which inner products compare
them. Most bridges choose the old space itself: `Bridge.gallery` is then the identity, and whatever
indexes the old vectors goes on serving them.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import BridgeError
from glocal.registry import load
from glocal.upgrade.vectors import Floats, checked_pairs, checked_rows, unit_rows

DEFAULT_BRIDGE = "cca-kept"
"""The bridge where none is named."""

Arrays = dict[str, NDArray[np.float32]]
"""The state of a fitted bridge: float32 arrays by name, which is all that its file holds of it."""


class Bridge(ABC):
    """A map between two vector spaces; a subclass writes only the mathematics.

    Its keyword arguments, if any, say how to fit; what is needed afterwards is in `arrays`.

    Attributes:
        name: Its name in the registry.
        keeps_gallery: Whether `gallery` returns the old vectors as they are.
        least_pairs: The fewest pairs that it can be fitted to.
        old_dim: Length of the old vectors; 0 before it is fitted.
        new_dim: Length of the new vectors; 0 before it is fitted.
    """

    name: ClassVar[str]
    keeps_gallery: ClassVar[bool] = True
    least_pairs: ClassVar[int] = 2

    def __init__(self) -> None:
        self.old_dim = self.new_dim = 0

    @property
    @abstractmethod
    def dim(self) -> int:
        """Length of the vectors that are compared."""

    def fit(self, old: ArrayLike, new: ArrayLike) -> Self:
        """Learn the map from the vectors of the same images in both spaces.

        Args:
            old: ``(n, d_old)``; they need not be of unit length.
            new: ``(n, d_new)``, in the same order.

        Raises:
            BridgeError: The pairs are too few, of different number, or not finite numbers.
        """
        old_rows, new_rows = checked_pairs(old, new, self.least_pairs)
        self.old_dim, self.new_dim = old_rows.shape[1], new_rows.shape[1]
        self._fit(old_rows, new_rows)
        return self

    def queries(self, new: ArrayLike) -> Floats:
        """New vectors ``(m, d_new)`` as queries ``(m, dim)``, float32 of unit length.

        Raises:
            BridgeError: The vectors have another length or are not finite numbers.
        """
        self._check_fitted()
        return unit_rows(self._queries(unit_rows(checked_rows(new, "new vectors", self.new_dim))))

    def gallery(self, old: ArrayLike) -> Floats:
        """Old vectors ``(m, d_old)`` as what queries are compared with, ``(m, dim)`` float32.

        Where `keeps_gallery`, that is ``old`` itself, untouched; else it is of unit length.

        Raises:
            BridgeError: The vectors have another length or are not finite numbers.
        """
        self._check_fitted()
        rows = checked_rows(old, "old vectors", self.old_dim)
        return rows if self.keeps_gallery else unit_rows(self._gallery(unit_rows(rows)))

    @abstractmethod
    def arrays(self) -> Arrays:
        """The state after fitting, by name."""

    @abstractmethod
    def restore(self, arrays: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over a state of `arrays`; `old_dim` and `new_dim` are set before.

        Raises:
            BridgeError: An array is missing or has a shape that does not fit; see `taken`.
        """

    @abstractmethod
    def _fit(self, old: Floats, new: Floats) -> None:
        """Learn from unit rows."""

    @abstractmethod
    def _queries(self, new: Floats) -> Floats:
        """Map unit rows; the result is scaled to unit length."""

    def _gallery(self, old: Floats) -> Floats:
        """Map unit rows, where not `keeps_gallery`; the result is scaled to unit length."""
        return old

    def _check_fitted(self) -> None:
        if not self.new_dim:
            raise BridgeError(f"the bridge {self.name!r} is not fitted; call fit first")


def make_bridge(name: str = DEFAULT_BRIDGE, **settings: Any) -> Bridge:
    """A bridge by its name in the registry, not fitted yet.

    Args:
        name: Such as ``ridge``; `glocal.registry.names("bridge")` lists them.
        settings: Keyword arguments of its class.

    Raises:
        PartError: There is none of that name.
        BridgeError: It has no such setting, or the registry names something else.
    """
    kind = load("bridge", name)
    try:
        made = kind(**settings)
    except TypeError as error:
        raise BridgeError(f"the bridge {name!r} cannot be made so: {error}") from error
    if not isinstance(made, Bridge):
        raise BridgeError(
            f"the bridge {name!r} is a {type(made).__name__}, which does not derive from "
            "glocal.upgrade.Bridge; update or remove the package that has it"
        )
    return made


def taken(
    arrays: Mapping[str, NDArray[np.float32]], name: str, *shape: int | None
) -> NDArray[np.float32]:
    """An array of a bridge's state, for `Bridge.restore`.

    Args:
        arrays: The state.
        name: Which.
        shape: What it must have; None allows any length.

    Raises:
        BridgeError: It is missing or has another shape.
    """
    found = arrays.get(name)
    if found is None:
        raise BridgeError(f"it has no array {name!r}")
    if found.ndim != len(shape) or any(
        want is not None and want != have for want, have in zip(shape, found.shape, strict=True)
    ):
        raise BridgeError(f"its array {name!r} has the shape {found.shape}, not {shape}")
    return found


def nested(
    arrays: Mapping[str, NDArray[np.float32]], prefix: str
) -> dict[str, NDArray[np.float32]]:
    """The arrays whose names begin with ``prefix.``, without it."""
    start = f"{prefix}."
    return {
        name.removeprefix(start): rows for name, rows in arrays.items() if name.startswith(start)
    }
