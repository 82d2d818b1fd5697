"""What the owner of a server decides, and the bounds that protect it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from glocal.images import Limits

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ThumbnailSize(IntEnum):
    """What the longer side of a thumbnail may be, in pixels."""

    TINY = 160
    MEDIUM = 320
    LARGE = 640
    HUGE = 1280


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server behaves.

    Attributes:
        token: what a client has to show, or `None` for a server that only this machine reaches.
        loopback: whether only this machine reaches it; then the ``Host`` of a request is checked,
            or a web page elsewhere could reach it through a name that points here.
        hosts: names besides this machine's own that requests may be addressed to.
        read_only: whether clients can change nothing.
        folders: below which clients may start index runs.
        upload_folder: where images that clients add are kept; `None`: they cannot.
        urls: whether a search may name an address to fetch the query from.
        positions: whether clients learn where images were taken, from answers and from files.
        limits: of uploaded and fetched images.
        most_images: uploaded in one request.
        body_bytes: of one request.
        body_seconds: that a request may take to arrive.
        decode_seconds: that one image may take to decode.
        decoders: processes that decode uploads, and as many that decode the gallery's images.
        searches: at the same time; as many as `waiting` more wait for their turn.
        waiting: requests that wait for their turn to search, or for an image.
        requests: under way at all.
        keep_uploads: uploads kept for a while, so that a search can be refined and explained.
        keep_bytes: of these, together.
        compare_seconds: that comparing all images, for duplicates, may take.
        thumbnails: folder of the thumbnails' cache; `None`: the platform's cache folder.
        thumbnail_bytes: how large that may grow.
    """

    token: str | None = None
    loopback: bool = True
    hosts: frozenset[str] = frozenset()
    read_only: bool = False
    folders: tuple[Path, ...] = ()
    upload_folder: Path | None = None
    urls: bool = False
    positions: bool = False
    limits: Limits = field(
        default_factory=lambda: Limits(max_bytes=32 * 2**20, max_pixels=80_000_000)
    )
    most_images: int = 16
    body_bytes: int = 96 * 2**20
    body_seconds: float = 30.0
    decode_seconds: float = 15.0
    decoders: int = 2
    searches: int = 4
    waiting: int = 64
    requests: int = 256
    keep_uploads: int = 500
    keep_bytes: int = 256 * 2**20
    compare_seconds: float = 3_600.0
    thumbnails: Path | None = None
    thumbnail_bytes: int = 2 * 2**30
