"""What a gallery answers: plain values, the same for Python, the command line and evaluation."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from glocal.gallery.layout import ModelId


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or folder that could not be used, and why."""

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index run did, counted in files.

    Attributes:
        added: files that are new, and are in the gallery now.
        updated: files whose content had changed.
        unchanged: files left alone.
        removed: files forgotten because they are gone.
        failed: files and folders that could not be used.
        unreachable: roots and folders that are not there, whose images are kept: an unplugged
            disk, an unmounted share. They are in `failed` too.
        seconds: that it took.
        images_per_second: images read and encoded per second.
    """

    added: int
    updated: int
    unchanged: int
    removed: int
    failed: tuple[Failure, ...]
    unreachable: tuple[Path, ...]
    seconds: float
    images_per_second: float


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer to a search.

    Attributes:
        rank: from 1.
        path: of a file that holds the image; identical copies are hits of their own.
        score: cosine similarity of the two images' vectors, in [-1, 1].
        evidence: what else speaks for it: the fields of `glocal.ranking.evidence.Evidence` where
            the second look was taken; ``verdict`` alone for the query's own file without it.
    """

    rank: int
    path: Path
    score: float
    evidence: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SearchResult:
    """All answers to one search; iterating gives its hits.

    Attributes:
        query: the path of the query, or what it was.
        model: which model compared them.
        hits: best first.
        timings_ms: milliseconds spent to ``decode``, ``encode`` and ``search``, and to ``rerank``
            and ``verify`` where that was done.
    """

    query: str
    model: ModelId
    hits: tuple[Hit, ...]
    timings_ms: dict[str, float]

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery holds.

    Attributes:
        folder: of the gallery.
        format: version of the folder's layout.
        model: that made the vectors.
        images: different contents.
        files: that hold them.
        failed: files that could not be read as images.
        in_graph: images the HNSW graph covers; the others are scanned exactly.
        roots: what was asked to be indexed.
        bytes_on_disk: of the gallery's folder, as allocated.
        detector: of the local features, by its name in `glocal.registry`.
        without_local_features: images that have no local features kept, so that they cannot be verified.
        local_feature_bytes: of the bytes on disk, for local features.
        bytes_free: on its disk.
    """

    folder: Path
    format: int
    model: ModelId
    images: int
    files: int
    failed: int
    in_graph: int
    roots: tuple[Path, ...]
    bytes_on_disk: int
    detector: str
    without_local_features: int
    local_feature_bytes: int
    bytes_free: int


def plain(value: Any) -> Any:
    """A result as values that JSON can hold."""
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if hasattr(value, "__dataclass_fields__"):
        return plain(asdict(value))
    return value
