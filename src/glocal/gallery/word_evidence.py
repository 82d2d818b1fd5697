"""Which words of a query an image has, and where: what a person is shown of a hit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from glocal.gallery.word_forms import Word, words_of
from glocal.visible_text import visible

_SHOWN = 120  # characters of a caption, or of what stands in an image, around the first word
_LEAST_INSIDE = 3
_INSIDE, _NEAR = 0.8, 0.5  # shares of a word that is inside of another, or spelled otherwise


@dataclass(frozen=True, slots=True)
class WordEvidence:
    """Which words of a query an image has.

    Attributes:
        share: of the words, in [0, 1]; one inside of another word counts .8, one that was spelled
            otherwise .5.
        shown: where they stand (``name``, ``folder``, ``caption``, ``image``) and the text there,
            shortened.
    """

    share: float
    shown: dict[str, str]

    @classmethod
    def of(
        cls,
        query: Sequence[Word],
        near: Mapping[Word, frozenset[str]],
        files: Sequence[Path],
        texts: Mapping[str, str],
    ) -> WordEvidence:
        """Look for the words of a query in what is known of an image.

        Args:
            query: the words.
            near: for each, other words that it may mean; see `Words.near`.
            files: of the image.
            texts: its texts by kind; see `Texts.of`.
        """
        places = {
            "name": [path.name for path in files],
            "folder": [part for path in files for part in reversed(path.parent.parts)],
            **{kind: text.splitlines() for kind, text in texts.items()},
        }
        best = dict.fromkeys(query, 0.0)
        shown: dict[str, str] = {}
        for place, lines in places.items():
            for line in dict.fromkeys(lines):
                found = {word: _has(words_of(line), word, near.get(word)) for word in query}
                if not any(found.values()):
                    continue
                best = {word: max(best[word], found[word]) for word in query}
                if place not in shown:
                    words = [word for word in query if found[word]]
                    shown[place] = visible(_around(line, words, near))
        return cls(sum(best.values()) / len(query), shown)


def _has(words: Sequence[str], word: Word, near: frozenset[str] | None) -> float:
    """How far a text has a word of a query, in [0, 1]."""
    if word.exact or len(word.parts) > 1:
        size = len(word.parts)
        runs = (tuple(words[at : at + size]) for at in range(len(words) - size + 1))
        return float(word.parts in runs)
    (part,) = word.parts
    if part in words or (len(part) > 1 and any(other.startswith(part) for other in words)):
        return 1.0
    if len(part) >= _LEAST_INSIDE and any(part in other for other in words):
        return _INSIDE
    return _NEAR if near and not near.isdisjoint(words) else 0.0


def _around(line: str, words: Sequence[Word], near: Mapping[Word, frozenset[str]]) -> str:
    """The part of a long line that has the first of these words."""
    if len(line) <= _SHOWN:
        return line
    pieces = line.split()
    at = next(
        (
            number
            for number, piece in enumerate(pieces)
            for word in words
            if _has(words_of(piece), Word(word.parts[:1]), near.get(word))
        ),
        0,
    )
    first = at
    while first > 0 and len(" ".join(pieces[first - 1 : at])) < _SHOWN // 3:
        first -= 1
    said = " ".join(pieces[first:])
    return ("… " if first else "") + (
        said if len(said) <= _SHOWN else said[:_SHOWN].rstrip() + " …"
    )
