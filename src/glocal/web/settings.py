"""What the owner of a server decides, and the limits that protect it."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path

from glocal.images import Limits

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})


class ThumbnailSize(IntEnum):
    """Pixels that the longer side of a thumbnail may have."""

    TINY = 160
    MEDIUM = 320
    LARGE = 640
    HUGE = 1280


@dataclass(frozen=True, slots=True)
class Settings:
    """How a server behaves.

    Attributes:
        token: the token that clients have to show; `None` for a server that only this machine
            reaches.
        read_token: another token, whose bearers can change nothing.
        loopback: whether only this machine reaches the server; then the ``Host`` of requests is
            checked, because a page elsewhere could otherwise reach it by a name that points here.
        hosts: names, besides this machine's own, that requests may be addressed to.
        cors_origins: origins whose pages may use the API; ``*`` lets all of them read.
        read_only: whether clients can change nothing.
        folders: folders in which, and below which, clients may start index runs.
        upload_folder: where images that clients add are kept; `None`: they cannot add any.
        urls: whether a query may be an address that the server fetches.
        positions: whether clients learn where images were taken, from results and from files.
        world: file of a trained world model, which is asked where a photo was taken.
        limits: of uploaded and fetched images.
        most_images: images in one request, and searches in one batch.
        body_bytes: size of one request.
        body_seconds: time that a request may take to arrive.
        decode_seconds: time that one image may take to decode.
        decoders: processes that decode uploads, and as many again for the gallery's images.
        search_processes: processes that answer searches; 0 for threads of the server's own.
        searches: searches at the same time; as many as `waiting` more wait for their turn.
        waiting: requests that may wait for their turn to search, or for an image.
        requests: requests at the same time, of any kind.
        keep_bytes: size of all uploads that are kept on disk, for refining and explaining a search;
            0 keeps none.
        arriving_bytes: size of all requests that are being received or answered; one that does not
            fit is refused until others are done.
        compare_seconds: time that comparing all images, to find duplicates, may take.
        archive_bytes: size of the files that one archive may have.
        thumbnails: folder of the thumbnail cache; `None`: the platform's cache folder.
        thumbnail_bytes: size that the thumbnail cache may reach.
    """

    token: str | None = None
    read_token: str | None = None
    loopback: bool = True
    hosts: frozenset[str] = frozenset()
    cors_origins: frozenset[str] = frozenset()
    read_only: bool = False
    folders: tuple[Path, ...] = ()
    upload_folder: Path | None = None
    urls: bool = False
    positions: bool = False
    world: Path | None = None
    limits: Limits = field(
        default_factory=lambda: Limits(max_bytes=32 * 2**20, max_pixels=80_000_000)
    )
    most_images: int = 16
    body_bytes: int = 96 * 2**20
    body_seconds: float = 30.0
    decode_seconds: float = 15.0
    decoders: int = 2
    search_processes: int = 0
    searches: int = 4
    waiting: int = 64
    requests: int = 256
    keep_bytes: int = 256 * 2**20
    arriving_bytes: int = 256 * 2**20
    compare_seconds: float = 3_600.0
    archive_bytes: int = 2 * 2**30
    thumbnails: Path | None = None
    thumbnail_bytes: int = 2 * 2**30
