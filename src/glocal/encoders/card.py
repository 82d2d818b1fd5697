"""The card of a model: its name, licence, input and origin, kept inside the model file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from math import sqrt
from typing import Any

from glocal.errors import ModelError

METADATA_KEY = "glocal.card"


@dataclass(frozen=True, slots=True)
class Card:
    """What a model file says about itself.

    Attributes:
        name: unique among models, together with `version`.
        version: counts up when the vectors change.
        licence: SPDX expression of the weights.
        dim: length of the vector.
        area: number of pixels the input should have, height times width.
        multiple: height and width of the input are multiples of this.
        max_aspect: largest ratio of the longer side to the shorter; beyond it, an image is
            squashed.
        everything: the whole card, with sources, training data and measured accuracy.
        space: name of the space of the vectors; None in cards written before spaces had names.
            `glocal.encoders.spaces.space_of` always has an answer.
        scales: sides of the network's input relative to that of `area`, at each of which an image
            is encoded; its vector is the mean. The first is 1, of which all else is, and none is
            larger. In the JSON they are ``areas`` instead of ``area``, so that no version of
            glocal overlooks them.
        local_count: local features that an image has at most; None where the card does not say.
    """

    name: str
    version: int
    licence: str
    dim: int
    area: int
    multiple: int
    max_aspect: float
    everything: dict[str, Any] = field(repr=False, compare=False)
    space: str | None = None
    scales: tuple[float, ...] = (1.0,)
    local_count: int | None = None

    @classmethod
    def read(cls, text: str, where: str) -> Card:
        """Read a card from its JSON.

        Args:
            text: the JSON.
            where: the model, as errors should name it.

        Raises:
            ModelError: a field is missing or has an impossible value.
        """
        try:
            raw = json.loads(text)
            size = raw["input"]
            areas = size["areas"] if "areas" in size else [size["area"]]
            area = int(areas[0])
            card = cls(
                name=str(raw["name"]),
                version=int(raw["version"]),
                licence=str(raw["licence"]),
                dim=int(raw["dim"]),
                area=area,
                multiple=int(size["multiple"]),
                max_aspect=float(size["max_aspect"]),
                everything=raw,
                space=_read_space(raw),
                scales=tuple(sqrt(int(each) / area) for each in areas),
                local_count=_read_count(raw),
            )
        except (ValueError, KeyError, TypeError, IndexError, ArithmeticError) as error:
            raise ModelError(
                f"the card of model {where} cannot be read: {error!r}; export the model again"
            ) from error
        possible = (
            0 < card.dim <= 65_536
            and 0 < card.multiple**2 <= card.area <= 2**26
            and 1 <= card.max_aspect <= 100
            and len(card.scales) <= 4
            and all(0.25 <= scale <= 1 for scale in card.scales)
            and (card.local_count is None or 0 < card.local_count <= 65_535)
        )
        if not possible:
            raise ModelError(
                f"the card of model {where} has impossible sizes: dim {card.dim}, input {size}; "
                "export the model again"
            )
        return card


def _read_space(raw: dict[str, Any]) -> str | None:
    space = raw.get("space")
    if space is not None and not (isinstance(space, str) and space.strip()):
        raise ValueError(f"space is {space!r}, not a name")
    return space


def _read_count(raw: dict[str, Any]) -> int | None:
    local = raw.get("local")
    return int(local["count"]) if isinstance(local, dict) and "count" in local else None
