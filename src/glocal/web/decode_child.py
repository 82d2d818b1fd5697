"""The process that decodes untrusted images: it may crash, hang or be killed.

It reads jobs from standard input and writes results to standard output, one at a time. A job is a
line of JSON, ``{"do": ..., "bytes": n, ...}``, followed by n bytes of an encoded image; a result
likewise. An error of an image is a result, ``{"error": ...}``; any other error ends the process,
which its owner notices.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import Any, BinaryIO

from glocal.errors import ImageError, QueryError
from glocal.images import Limits, load
from glocal.images.facts import read_orientation
from glocal.images.formats import detect, open_header
from glocal.web.stripping import media_type, strip

MEMORY = 3 * 2**30
"""Bytes of address space that the process may use, on systems that can limit it."""


def main() -> None:
    """Do jobs until standard input ends."""
    _confine()
    jobs = sys.stdin.buffer
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # a decoder that prints must not damage the results
    while line := jobs.readline():
        job = json.loads(line)
        data = jobs.read(job["bytes"])
        if len(data) < job["bytes"]:
            return
        try:
            head, body = _JOBS[job["do"]](data, job)
        except (ImageError, QueryError) as error:
            head, body = {"error": str(error), "kind": type(error).__name__}, b""
        _answer(answers, head, body)


def _answer(answers: BinaryIO, head: dict[str, Any], body: bytes) -> None:
    answers.write(json.dumps({**head, "bytes": len(body)}).encode() + b"\n")
    answers.write(body)
    answers.flush()


def _confine() -> None:
    """Limit this process to what decoding needs, as far as the system can."""
    try:
        import resource  # not on Windows
    except ImportError:
        return
    for what, most in (
        (resource.RLIMIT_AS, MEMORY),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, 0),
    ):
        # Each limit is a further safeguard: macOS, for one, refuses to bound the address space.
        with contextlib.suppress(OSError, ValueError):
            hard = resource.getrlimit(what)[1]
            wanted = most if hard == resource.RLIM_INFINITY else min(most, hard)
            resource.setrlimit(what, (wanted, wanted))


def _limits(job: dict[str, Any]) -> Limits:
    return Limits(max_bytes=job["max_bytes"], max_pixels=job["max_pixels"])


def _pixels(data: bytes, job: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """Upright RGB, for the network."""
    image = load(
        data,
        min_pixels=job["min_pixels"],
        region=tuple(job["region"]) if job["region"] else None,
        limits=_limits(job),
        name=job["name"],
    )
    facts = image.facts
    head = {
        "shape": image.array.shape,
        "width": facts.width,
        "height": facts.height,
        "format": facts.format,
    }
    return head, image.array.tobytes()


def _jpeg(data: bytes, job: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """An upright JPEG without metadata, its longer side at most ``side`` (0: any size)."""
    from PIL import Image

    limits, side = _limits(job), job["side"]
    if side:
        header = load(data, min_pixels=1, limits=limits, name=job["name"]).facts
        longer, shorter = max(header.width, header.height), min(header.width, header.height)
        least = max(1, round(min(1.0, side / longer) * shorter))
        array = load(data, min_side=least, limits=limits, name=job["name"]).array
    else:
        array = load(data, limits=limits, name=job["name"]).array
    image = Image.fromarray(array)
    if side:
        image.thumbnail((side, side), Image.Resampling.LANCZOS, reducing_gap=3.0)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=job["quality"], optimize=True, progressive=not side)
    return {"width": image.width, "height": image.height}, file.getvalue()


def _plain(data: bytes, job: dict[str, Any]) -> tuple[dict[str, Any], bytes]:
    """The image in a format that browsers can show, without metadata; pixels unchanged if possible.

    With ``keep``, a file that browsers can show is not changed.
    """
    kind = media_type(data)
    if job["keep"] and kind is not None:
        return {"type": kind}, data
    _limits(job).check_bytes(len(data))
    stripped = strip(data, _orientation(data)) if kind is not None else None
    if stripped is not None:
        return {"type": kind}, stripped
    return {"type": "image/jpeg"}, _jpeg(data, {**job, "side": 0, "quality": 92})[1]


def _orientation(data: bytes) -> int:
    name = detect(data)
    try:
        return 1 if name is None else read_orientation(open_header(data, name))
    except Exception:  # noqa: BLE001 - decoders raise anything; unreadable means upright
        return 1


_JOBS = {"pixels": _pixels, "jpeg": _jpeg, "plain": _plain}

if __name__ == "__main__":
    main()
