"""How words are written down to be compared: without case and accents, split from one another.

Names of files, captions and queries pass through the same function, so that "Crème-brûlée_2.JPG"
and "creme brulee" meet. Chinese and Japanese have no spaces: each character is a word there, and
what stands together in a query has to stand together in the text.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

from glocal.errors import QueryError

MOST_CHARACTERS = 200
MOST_WORDS = 16

# Letters that differ from another by more than an accent, and are typed as that other one.
_LETTERS = str.maketrans(
    {"ø": "o", "ł": "l", "đ": "d", "ð": "d", "ı": "i", "æ": "ae", "œ": "oe", "þ": "th"}
)
_KEPT_MARKS = frozenset((0, 7, 8, 9))  # vowel signs, nukta, voicing of kana, virama: not accents
_ALONE = re.compile(  # kana, Han
    "[\u3041-\u309f\u30a0-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]"
)
_QUOTED = re.compile(r"[\"“”„«»]([^\"“”„«»]*)(?:[\"“”„«»]|$)|([^\s\"“”„«»]+)")


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a query, or several that have to stand together.

    Attributes:
        parts: as `words_of` gives them, at least one.
        exact: whether it was in quotes: then it is not completed, and no other word is near it.
    """

    parts: tuple[str, ...]
    exact: bool = False


def words_of(text: str) -> list[str]:
    """The words of a text in order, in the form in which they are compared.

    >>> words_of("Crème-brûlée_2.JPG"), words_of("Straße"), words_of("豆乳 alpro")
    (['creme', 'brulee', '2', 'jpg'], ['strasse'], ['豆', '乳', 'alpro'])
    """
    if text.isascii():
        return re.findall(r"[a-z0-9]+", text.lower())
    apart = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(c for c in apart if unicodedata.combining(c) in _KEPT_MARKS)
    whole = unicodedata.normalize("NFC", bare).casefold().translate(_LETTERS)
    spaced = "".join(c if _belongs(c) else " " for c in whole)
    return _ALONE.sub(r" \g<0> ", spaced).split()


@lru_cache(4096)
def _belongs(character: str) -> bool:
    return unicodedata.category(character)[0] in "LNM"


def read_words(text: str) -> tuple[Word, ...]:
    """Read a query of words. Nothing in it has a meaning but quotes, around words in this order.

    >>> [word.parts for word in read_words('alpro "oat milk" 豆乳')]
    [('alpro',), ('oat', 'milk'), ('豆', '乳')]

    Raises:
        QueryError: it has no letters and no digits, or is too long.
    """
    if len(text) > MOST_CHARACTERS:
        raise QueryError(
            f"the text has {len(text)} characters; give at most {MOST_CHARACTERS}, "
            "the words that tell most"
        )
    found = list[Word]()
    for match in _QUOTED.finditer(text):
        quoted, bare = match[1], match[2]
        words = words_of(quoted if bare is None else bare)
        if bare is None:
            found += [Word(tuple(words), exact=True)] if words else []
            continue
        run: list[str] = []
        for word in words:
            if _ALONE.fullmatch(word):
                run.append(word)
                continue
            found += [Word(tuple(run))] if run else []
            found.append(Word((word,)))
            run = []
        found += [Word(tuple(run))] if run else []
    found = list(dict.fromkeys(found))
    if not found:
        raise QueryError(f"the text {text!r} has no letters and no digits; give a word")
    if len(found) > MOST_WORDS:
        raise QueryError(f"the text has {len(found)} words; give at most {MOST_WORDS}")
    return tuple(found)


def near_distance(word: str) -> int:
    """How many typing errors a word may have: none where every word is near to every other."""
    if len(word) < 4 or any(c.isdigit() for c in word):
        return 0
    return 1 if len(word) < 8 else 2


def is_near(first: str, second: str, most: int) -> bool:
    """Whether one word becomes the other by so many errors in typing at most.

    An error is a letter too many, one missing, another letter, or two that changed places (the
    restricted Damerau-Levenshtein distance).
    """
    if abs(len(first) - len(second)) > most:
        return False
    before, row = list[int](), list(range(len(second) + 1))
    for i, a in enumerate(first, start=1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(second, start=1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == second[j - 2] and b == first[i - 2]:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return False
    return row[-1] <= most
