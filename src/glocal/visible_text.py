"""Make all characters of a text visible, so that none hides or reorders what surrounds it."""

from __future__ import annotations

import unicodedata

# They occur in real words and in emoji, and cannot reorder or hide what surrounds them.
_JOINERS = frozenset("\u200c\u200d")
_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_NAMED_CONTROLS = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}


def visible(text: str) -> str:
    """The text with invisible characters written as Python escapes.

    A file name can hold anything but a slash: line breaks, controls that reverse
    the direction of what follows, and, as lone surrogates, bytes that are not UTF-8.
    """
    return "".join(map(_prepare, text))


def _prepare(character: str) -> str:
    code = ord(character)
    unseen = unicodedata.category(character) in _HIDDEN and character not in _JOINERS
    if not unseen and code & 0xFFFE != 0xFFFE and not 0xFDD0 <= code <= 0xFDEF:
        return character
    if character in _NAMED_CONTROLS:
        return _NAMED_CONTROLS[character]
    if 0xDC80 <= code <= 0xDCFF:  # a byte that os.fsdecode could not decode
        return f"\\x{code - 0xDC00:02x}"
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"
