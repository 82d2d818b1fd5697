"""How far a long piece of work is, told to whoever wants to show it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes:
        stage: ``scan`` (looking through folders), ``encode``, ``read`` (texts) or ``graph``
            (building the index); of `Gallery.duplicates`: ``neighbours`` and ``verify``; ``move``
            of vectors to another place.
        done: files seen or read, images or pairs compared, vectors moved.
        total: how many there are, when it is known.
        unchanged: files that needed nothing.
        failed: files that could not be used, so far.
    """

    stage: str
    done: int = 0
    total: int | None = None
    unchanged: int = 0
    failed: int = 0


def quiet(progress: Progress) -> None:
    """Listen to the progress of a run and do nothing."""
