"""Describe the errors that decoders raise in words that people understand."""

from __future__ import annotations

import re

from glocal.errors import ImageError

_REPR = re.compile(r"<[^<>]*>|'[^']*[/\\][^']*'|\b(?:0x)[0-9a-fA-F]+\b")
_TRUNCATED = re.compile(
    r"truncat|premature|unexpected end|end of (?:file|data)|not enough|file too short"
    r"|unpack requires|buffer is not large enough|index out of range|attempt to seek",
    re.IGNORECASE,
)
_REASON_LENGTH = 120


def as_image_error(error: Exception, name: str) -> ImageError:
    """Turn any exception of a decoder into an ImageError with one short line.

    Args:
        error: what was raised.
        name: the format being decoded.
    """
    if isinstance(error, MemoryError):
        return ImageError(f"too large: there isn't enough memory to decode this {name}")
    from PIL.Image import DecompressionBombError

    if isinstance(error, DecompressionBombError):
        # Only reached where --max-pixels was raised above Pillow's limit, which some of its
        # decoders check by themselves.
        return ImageError(
            f"too large: Pillow decodes a {name} of at most twice PIL.Image.MAX_IMAGE_PIXELS pixels"
        )
    said = " ".join(_REPR.sub("", str(error)).split()).strip(" .:")
    said = "".join(c for c in said if c.isprintable())[:_REASON_LENGTH]
    kind = type(error).__name__
    detail = said if isinstance(error, (OSError, ValueError, SyntaxError)) else f"{kind} {said}"
    detail = detail.strip() or kind
    if "unknown pixel mode" in said:
        return ImageError(f"unsupported: the {name} has an unusual kind of samples; convert it")
    if isinstance(error, EOFError) or _TRUNCATED.search(said):
        return ImageError(f"truncated {name}: {detail}")
    return ImageError(f"damaged {name}: {detail}")
