"""The space of a model's vectors: only vectors of one space may be compared.

Two models may share a space, such as an export and its half-size twin, and are then
interchangeable: either searches what the other has indexed.
"""

from __future__ import annotations

from glocal.encoders.card import Card

# Models published before cards named a space, by the SHA-256 of their files.
_PUBLISHED = {
    "8a7f04f5866b54fd3166cef2112aea59f8ca120d8da0aff56fdfb61ee3aacc56": "glocal-lite0-v2",
}


def space_of(card: Card | None, sha256: str) -> str:
    """The name of the space that a model's vectors are in.

    Args:
        card: the card of the model; `None` where it can no longer be read.
        sha256: of the model's file, in hexadecimal: a model whose card names no space has one of
            its own, named by the file.
    """
    sha256 = sha256.lower()
    return (card and card.space) or _PUBLISHED.get(sha256) or f"sha256:{sha256[:16]}"
