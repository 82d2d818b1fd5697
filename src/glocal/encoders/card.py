"""A model's card: what it is, where it came from and what it wants; kept inside the model file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

from glocal.errors import ModelError

METADATA_KEY = "glocal.card"


@dataclass(frozen=True, slots=True)
class Card:
    """What a model says of itself.

    Attributes:
        name: unique among models, together with `version`.
        version: counts up when the vectors change.
        licence: SPDX expression of the weights.
        dim: length of the vector.
        area: pixels the input should have, height times width.
        multiple: height and width of the input are multiples of this.
        max_aspect: longer side by shorter side at most; beyond it an image is squashed.
        everything: the whole card, with sources, training data and measured accuracy.
    """

    name: str
    version: int
    licence: str
    dim: int
    area: int
    multiple: int
    max_aspect: float
    everything: dict[str, Any] = field(repr=False, compare=False)

    @classmethod
    def read(cls, text: str, where: str) -> Card:
        """Read a card from its JSON; `where` names the model in errors.

        Raises:
            ModelError: a field is missing or makes no sense.
        """
        try:
            raw = json.loads(text)
            size = raw["input"]
            card = cls(
                name=str(raw["name"]),
                version=int(raw["version"]),
                licence=str(raw["licence"]),
                dim=int(raw["dim"]),
                area=int(size["area"]),
                multiple=int(size["multiple"]),
                max_aspect=float(size["max_aspect"]),
                everything=raw,
            )
        except (ValueError, KeyError, TypeError) as error:
            raise ModelError(f"the card of model {where} cannot be read: {error!r}") from error
        sound = (
            0 < card.dim <= 65_536
            and 0 < card.multiple**2 <= card.area <= 2**26
            and 1 <= card.max_aspect <= 100
        )
        if not sound:
            raise ModelError(f"the card of model {where} has sizes that make no sense: {size}")
        return card
