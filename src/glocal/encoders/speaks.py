"""The spaces of older models that a model's vectors can be compared with."""

from __future__ import annotations

from glocal.encoders.card import Card


def speaks(card: Card | None) -> tuple[str, ...]:
    """The spaces of older models whose vectors a model's own can be compared with, newest first.

    A model that was trained to stay compatible has them in its card, under ``speaks``. Its vector
    is compared by its first numbers, as many as the older model's vectors have, at unit length:
    where both are equally long, that is the vector itself.

    Args:
        card: the card of the model; `None` where it can no longer be read.
    """
    named = card.everything.get("speaks", ()) if card else ()
    return tuple(str(space) for space in named) if isinstance(named, list) else ()
