"""Which space a model's vectors are in: models that share one can be compared and exchanged."""

from __future__ import annotations

from glocal.encoders import Card

_PUBLISHED = {
    "8a7f04f5866b54fd3166cef2112aea59f8ca120d8da0aff56fdfb61ee3aacc56": "glocal-lite0-v2",
}
"""Spaces of models whose cards were written before there were any, by the hash of their file."""


def space_of(sha256: str, card: Card | None) -> str:
    """The space that a model names in its card, or one of its own.

    Args:
        sha256: of the model's file, in hexadecimal.
        card: of the model; `None` if it cannot be read any more.
    """
    named = card and card.everything.get("space")
    return str(named or _PUBLISHED.get(sha256) or f"sha256:{sha256[:16]}")
