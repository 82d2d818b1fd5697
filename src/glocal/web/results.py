"""Results that only a server has, as plain values: the server sends them, the client returns them.

Everything else that goes over the wire is one of `glocal.gallery.results`. This module needs the
standard library alone, so that the client needs no more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Literal

from glocal.gallery.duplicate_rows import Action
from glocal.gallery.locating import Located
from glocal.gallery.model_id import ModelId
from glocal.gallery.progress import Progress
from glocal.gallery.results import (
    DuplicateGroup,
    GalleryImage,
    IndexReport,
    SearchResult,
    UpgradeProgress,
)
from glocal.ranking.evidence import Evidence

RunState = Literal["waiting", "running", "done", "failed", "cancelled"]
ComparisonState = Literal["not_compared", "comparing", "done"]
DuplicateLevel = Literal["identical", "copy", "object"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage(SearchResult):
    """A part of the answer to a search, best first.

    Attributes:
        query: the id of the query image; searches again without sending the image again, and asks
            for explanations. The words where there was no image.
        uploads: the id of each image that was sent, in order: the query, `like`, `unlike`.
        more: whether further hits follow; with `min_score`, whether that is likely.
    """

    uploads: tuple[str, ...] = ()
    more: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LocatedPage(Located):
    """Where a photo was probably taken.

    Attributes:
        query: the id of the photo, by which it can be searched with.
        position: what the gallery knows of this very file; of others the server does not read it.
    """


@dataclass(frozen=True, slots=True)
class ImagePage:
    """A page of the gallery's images.

    Attributes:
        images: in the order that was requested.
        total: how many images the whole list has; only on its first page.
        next: the cursor of the page that follows; `None` on the last page.
    """

    images: tuple[GalleryImage, ...]
    total: int | None
    next: str | None


@dataclass(frozen=True, slots=True)
class DuplicateRow:
    """A file of a group of duplicates.

    Attributes:
        path: the file, or another name of one.
        image: the id of the image that it holds.
        action: what is proposed; only `could-remove` says that nothing is lost without it.
        verdict: its relation to the file to keep, in words; empty for that file itself.
        probability: of the verdict; `None` where there is none, and of identical files, which are
            certain.
        reason: why this is proposed.
    """

    path: Path
    image: str
    action: Action
    verdict: str
    probability: float | None
    reason: str


@dataclass(frozen=True, slots=True)
class PairResult:
    """How two images of the gallery lie on one another, and where they differ.

    Attributes:
        evidence: of the local features, put right by the pixels; `None` where one of the images
            has none.
        homography: three rows of the homography from the first image to the second, both in
            fractions of their width and height; `None` where they do not lie on one another.
        differing: rectangles around what differs, largest first: x, y, width and height in
            fractions of the first image.
        differing_second: the same rectangles in fractions of the second image.
        share: the part of what both show that differs; `None` where it could not be compared.
    """

    evidence: Evidence | None
    homography: tuple[tuple[float, float, float], ...] | None
    differing: tuple[tuple[float, float, float, float], ...] = ()
    differing_second: tuple[tuple[float, float, float, float], ...] = ()
    share: float | None = None


@dataclass(frozen=True, slots=True)
class ComparisonStatus:
    """How far a comparison of all images is.

    Attributes:
        level: what the groups are made of.
        state: ``comparing`` or ``done``.
        progress: once it has begun.
    """

    level: DuplicateLevel
    state: ComparisonState
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class DuplicatesPage:
    """Groups of duplicates, those first that would free the most bytes.

    Attributes:
        level: what the groups are made of.
        state: ``not_compared``: the images have to be compared first, or again since the gallery
            has changed; ``comparing``: there are no groups yet; request them again in a moment.
        progress: of the comparison, once it has begun.
        groups: identical files are in no particular order.
        total: how many groups the whole list has; only on its first page.
        left_out: groups at the end of the list that were too many to keep.
        bytes_to_free: bytes of the spare files of all groups; only on the first page.
        next: the cursor of the page that follows; `None` on the last page.
    """

    level: DuplicateLevel
    state: ComparisonState
    progress: Progress | None = None
    groups: tuple[DuplicateGroup, ...] = ()
    total: int | None = None
    left_out: int = 0
    bytes_to_free: int | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunReport(IndexReport):
    """What an index run did, counted in files.

    Attributes:
        failed: files and folders that could not be used, at most 1,000 of them.
        left_out: further files that could not be used.
    """

    left_out: int = 0


@dataclass(frozen=True, slots=True)
class IndexRun:
    """An index run as it is, or was when it was requested.

    Attributes:
        id: names the run.
        folder: the folder on the server.
        state: a cancelled run keeps what it has done so far.
        created: when the run was requested.
        progress: how far the run is, once it has begun.
        report: what the run did, once it is done.
        error: why the run failed.
    """

    id: str
    folder: Path
    state: RunState
    created: datetime
    progress: Progress | None = None
    report: RunReport | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class AddedImages:
    """Images that were sent and kept.

    Attributes:
        images: the id of each image.
        run: the index run that makes them searchable.
    """

    images: tuple[str, ...]
    run: IndexRun


@dataclass(frozen=True, slots=True)
class Features:
    """What a server allows.

    Attributes:
        deciding: whether decisions about duplicates can be made.
        urls: whether a query may be the address of an image.
        positions: whether the server says where images were taken.
        removing: whether images can be removed from the index.
        index_runs: whether index runs can be started.
        uploads: whether images can be added.
        explanations: the kinds of explanations of a match.
        changes: whether words can say how what is found is to differ from a query image.
        login: whether a token is needed.
    """

    deciding: bool
    urls: bool
    positions: bool
    removing: bool
    index_runs: bool
    uploads: bool
    explanations: tuple[str, ...]
    changes: bool
    login: bool


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """The limits of one request.

    Attributes:
        image_bytes: size of one image.
        image_pixels: pixels of one image.
        body_bytes: size of the whole request.
        images: images in one request.
        hits: hits in one answer.
        selected: images in one download.
        archive_bytes: size of the files in one archive.
        batch: queries in one batch.
        thumbnail_sizes: pixels that the longer side of a thumbnail may have.
    """

    image_bytes: int
    image_pixels: int
    body_bytes: int
    images: int
    hits: int
    selected: int
    archive_bytes: int
    batch: int
    thumbnail_sizes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class ServerInfo:
    """What the gallery holds and what the server allows.

    Attributes:
        version: glocal's version.
        images: number of images, each counted once however many files hold it.
        files: number of files that hold them.
        failed: number of files that could not be read as images.
        in_graph: images that the HNSW graph covers; the others are scanned exactly.
        model: the model that made the vectors.
        roots: the folders and files that were added.
        allowed_folders: the folders in which index runs can be started.
        features: what the server allows.
        limits: the limits of one request.
        upgrade: how far an upgrade is that is under way.
    """

    version: str
    images: int
    files: int
    failed: int
    in_graph: int
    model: ModelId
    roots: tuple[Path, ...]
    allowed_folders: tuple[Path, ...]
    features: Features
    limits: ServerLimits
    upgrade: UpgradeProgress | None


@dataclass(frozen=True, slots=True)
class FolderFacet:
    """A folder that can be filtered by.

    Attributes:
        path: the folder's path.
        name: the last part of the path.
        parent: the nearest listed folder above it.
        files: number of files in the folder and in all folders below it.
    """

    path: Path
    name: str
    parent: Path | None
    files: int


@dataclass(frozen=True, slots=True)
class MonthFacet:
    """A month in which images were taken.

    Attributes:
        month: YYYY-MM.
        images: number of images that were taken in it.
    """

    month: str
    images: int


@dataclass(frozen=True, slots=True)
class CameraFacet:
    """A camera.

    Attributes:
        camera: make and model.
        images: number of images that it took.
    """

    camera: str
    images: int


@dataclass(frozen=True, slots=True)
class PlaceFacet:
    """Images that were taken close to one another.

    Attributes:
        latitude: of their middle, in degrees (WGS 84).
        longitude: of their middle, in degrees (WGS 84).
        images: number of images.
        id: one of them.
    """

    latitude: float
    longitude: float
    images: int
    id: str


@dataclass(frozen=True, slots=True)
class Facets:
    """What images can be filtered by.

    Attributes:
        folders: parents before children.
        months: the latest first.
        undated: number of images without a date.
        cameras: those with most images first.
        places: empty unless the server shows positions.
    """

    folders: tuple[FolderFacet, ...]
    months: tuple[MonthFacet, ...]
    undated: int
    cameras: tuple[CameraFacet, ...]
    places: tuple[PlaceFacet, ...]
