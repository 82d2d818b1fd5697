"""What a side of a trial gets: a seed, data, and the choice of settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from glocal.errors import MethodError
from glocal.methods.claim import Check, Comparison
from glocal.trials import data

Setting = TypeVar("Setting")


class Lab:
    """One side of a trial with one seed.

    The method and the baseline of a pair get the same seed, and so the same division of the data
    and, since the runner seeds torch with it, the same random numbers.

    Args:
        seed: Seed of the pair.
        smoke: Whether only to see that the trial runs: `steps` are then few.

    Attributes:
        checks: Numbers noted by `check`.
    """

    def __init__(self, seed: int, *, smoke: bool = False) -> None:
        self.seed, self.smoke = seed, smoke
        self.checks: list[Check] = []
        self._scored = False
        self._choosing = False

    def random(self) -> np.random.Generator:
        """A new generator of random numbers, the same for both sides."""
        return np.random.default_rng(self.seed)

    def steps(self, full: int) -> int:
        """The number of training steps: ``full``, or few to see that the trial runs."""
        return min(full, 2) if self.smoke else full

    def check(self, what: str, measured: float, comparison: Comparison, limit: float) -> None:
        """Note a number of the method that has to be right besides the claim."""
        self.checks.append(Check(what, float(measured), comparison, float(limit)))

    def digits(self, side: int = 16) -> data.Data:
        """scikit-learn's digits, divided by the seed; ``side`` is a multiple of 8."""
        return self._divided(*data.digits(side))

    def grocery(self, side: int = 128, per_class: int = 12) -> data.Data:
        """Grocery's photos, divided by the seed."""
        return self._divided(*data.grocery(side, per_class))

    def photos(self, side: int = 128) -> tuple[NDArray[np.uint8], ...]:
        """A few photos without labels, ``(side, side, 3)`` uint8."""
        return data.photos(side)

    def choose(
        self,
        settings: Sequence[Setting],
        score: Callable[[Setting], float],
        *,
        on: Literal["validation"],
    ) -> Setting:
        """The setting with the highest score; the test images cannot be scored meanwhile.

        Args:
            settings: What to choose from; the first of equals is taken.
            score: Trains and scores with one of them, on the validation images.
            on: ``validation``: what settings are chosen on, written out where they are chosen.

        Raises:
            MethodError: ``on`` is anything else, or ``score`` scores the test images.
        """
        if on != "validation" or not settings:
            raise MethodError(
                f"settings cannot be chosen on {on!r} from {len(settings)}; give some settings and "
                "on='validation'"
            )
        self._choosing = True
        try:
            return max(settings, key=score)
        finally:
            self._choosing = False

    def _divided(self, images: data.Pixels, labels: data.Labels) -> data.Data:
        return data.divided(images, labels, self.seed, self._may_score)

    def _may_score(self) -> None:
        if self._choosing:
            raise MethodError("settings may not be chosen on test images; score data.validation")
        if self._scored:
            raise MethodError(
                "test images may be scored once by each side of a trial; score data.validation"
            )
        self._scored = True
