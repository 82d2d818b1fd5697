"""The results of a gallery: plain values, the same from Python, command line, HTTP and client."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields, is_dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Any, overload

from glocal.encoders.image_text import TokenSettings
from glocal.gallery.catalog import Content
from glocal.gallery.edits import Edit
from glocal.gallery.model_id import ModelId
from glocal.ranking.evidence import Evidence, Verdict

_EPOCH = datetime(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Failure:
    """A file or folder that could not be used, and why.

    Attributes:
        path: the file or folder.
        reason: why it could not be used.
    """

    path: Path
    reason: str


@dataclass(frozen=True, slots=True)
class IndexReport:
    """What an index run did, counted in files.

    Attributes:
        added: new files, which are in the gallery now.
        updated: files whose content has changed.
        unchanged: files that needed nothing.
        removed: files that left the gallery because they are gone from disk.
        failed: files and folders that could not be used.
        unreachable: roots and folders that are missing at the moment (an unplugged disk, an
            unmounted share) and whose images are therefore kept. They are in `failed` too.
        seconds: duration of the run.
        images_per_second: images read and encoded per second.
        not_read: number of images of kinds that glocal does not read, by kind.
        truncated: files read in this run that were cut off; they are in the gallery with what
            could be decoded.
    """

    added: int
    updated: int
    unchanged: int
    removed: int
    failed: tuple[Failure, ...]
    unreachable: tuple[Path, ...]
    seconds: float
    images_per_second: float
    not_read: dict[str, int] = field(default_factory=dict)
    truncated: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryImage:
    """An image of the gallery, known by its content whatever files hold it.

    Attributes:
        id: 32 hexadecimal digits that name the content.
        path: the first of `paths`.
        paths: the files that hold exactly this content, sorted, at least one; where a search or a
            listing has a condition, those that meet it.
        width: of the upright image, in pixels.
        height: of the upright image, in pixels.
        bytes: of one file.
        taken: when, by the camera's own clock, which knows no time zone.
        camera: make and model.
        position: latitude and longitude in degrees (WGS 84).
    """

    id: str
    path: Path
    paths: tuple[Path, ...]
    width: int
    height: int
    bytes: int
    taken: datetime | None = None
    camera: str | None = None
    position: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(GalleryImage):
    """One image that a search found.

    Attributes:
        rank: position in the result, from 1.
        score: cosine similarity of the two images' vectors, in [-1, 1]. Of a search by words alone
            the share of the words that the image has; one inside of another word counts .8,
            one that was spelled otherwise .5. Of an image that only the meaning of words has
            found, and of a change, the cosine in the text model's space. Of a search by a relation
            how similar the relations are, in [0, 1].
        scores: the score of each stage that this image passed, by name: ``vector`` (the same as
            `score`), ``rerank``, ``region`` (cosine similarity of the query to the image's most
            similar region), ``blend`` (whole vectors and regions together), ``combined`` (vector
            and geometric evidence together, which order the verified hits, matches before all
            others), ``first`` and ``second`` (cosine similarity of each thing of a relation to the
            image's most similar region), ``words`` (BM25), ``meaning`` and ``change`` (cosine in
            the text model's space to what words mean, or to the query with a change) and
            ``fused`` (reciprocal ranks of image, words and meaning together).
        evidence: what geometric verification found; `None` where it was not done.
        space: the vector space in which query and image were compared; empty where only written
            words have found it.
        box: where in the image the query is, X, Y, W, H in fractions of it: the region that is most
            like the query, where it is more like it than the whole image is, and exactly what
            verification has found there; otherwise `None`.
        words: where words of the query stand (``name``, ``folder``, ``caption``, ``image``) and
            the text there, shortened.
        second_box: of a search by a relation, where the second thing is, as `box` says of the
            first.
    """

    rank: int
    score: float
    scores: dict[str, float]
    evidence: Evidence | None
    space: str
    box: tuple[float, float, float, float] | None = None
    words: dict[str, str] = field(default_factory=dict)
    second_box: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryHit(Hit):
    """One image that a search in several galleries found; see `glocal.gallery.Galleries`.

    Its `score` and ``scores["vector"]`` are expressed as similarities of the result's model. Where
    its gallery has another one, ``scores["own"]`` is the cosine similarity in its `space`.

    Attributes:
        galleries: folders of the galleries that have it, that of `path` first.
    """

    galleries: tuple[Path, ...]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """The answer to one search; a sequence of its hits.

    Attributes:
        query: the path of the query image, or what it was; the words where there was no image.
        model: the model that compared the images; of several galleries the one whose similarities
            all scores are expressed in.
        hits: best first; an image that several files hold is one hit with several paths.
        timings_ms: milliseconds spent to ``decode``, ``encode`` and ``search``, and to ``rerank``
            (``regions`` and ``verify`` likewise) where that was done.
        found: whether the gallery has the same thing: an identical file, a copy, or another image
            of one object or place. `False` where there are only similar images; `None` where that
            is unknown, since the images could not be verified or were not meant to be.
        matches: how many images show the same thing, among the best 50 that are verified. They
            are the first in the ranking, and all after them are merely similar.
        text: the words that were searched for.
        change: how the query image was to be changed, in words.
    """

    query: str
    model: ModelId
    hits: tuple[Hit, ...]
    timings_ms: dict[str, float]
    found: bool | None = None
    matches: int = 0
    text: str | None = None
    change: str | None = None

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)

    def __len__(self) -> int:
        return len(self.hits)

    @overload
    def __getitem__(self, which: int) -> Hit: ...

    @overload
    def __getitem__(self, which: slice) -> tuple[Hit, ...]: ...

    def __getitem__(self, which: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[which]


class GroupKind(StrEnum):
    """The weakest relation within a group of duplicates."""

    IDENTICAL = "identical"
    COPY = "copy"
    SAME_OBJECT = "same_object"


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateImage(GalleryImage):
    """An image of a group of duplicates; `path` is, of its files, the one to keep.

    Its `paths` are one name for each file that holds it now: neither links nor names under which
    something else lies by now.

    Attributes:
        verdict: how it is related to the group's first image or, if it is not tied to that one, to
            the member it is tied to best; `None` for the first image itself.
        same_probability: probability that both show the same object or place.
        copy_probability: probability that one was made from the other.
        inliers: local features that agree with one homography.
        removable: whether the first image is as good in every respect and better in one (see
            `glocal.gallery.keeping`).
        spare: those of `paths` without which nothing is lost; both they and the first image's file
            were read again and are what the catalogue says.
        reason: why it stays, could go, or is for a person to decide about.
        edits: what was done to one to make the other, as seen from the first image.
        differing: rectangles around what differs from the first image: x, y, width and height in
            fractions of this image.
        links: further names of its files: symbolic links, linked folders, hard links.
        changed: names under which the catalogue knows it and where it is no more.
        holds: what its file holds besides the image, such as ``12 pages``; empty for nothing.
        chosen: whether a person has decided to keep it.
    """

    verdict: Verdict | None = None
    same_probability: float = 1.0
    copy_probability: float = 1.0
    inliers: int = 0
    removable: bool = False
    spare: tuple[Path, ...] = ()
    reason: str = ""
    edits: tuple[Edit, ...] = ()
    differing: tuple[tuple[float, float, float, float], ...] = ()
    links: tuple[Path, ...] = ()
    changed: tuple[Path, ...] = ()
    holds: str = ""
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """Images, or files of one image, of which one is enough.

    Attributes:
        kind: the weakest relation in the group: its files are identical; its images are copies of
            one another; or they show the same object or place.
        images: the one to keep first, then copies before images of the same object.
        bytes_to_free: bytes of all spare files, each file counted once.
        left_out: images at the end that were too many to list.
    """

    kind: GroupKind
    images: tuple[DuplicateImage, ...]
    bytes_to_free: int
    left_out: int = 0

    @property
    def kept(self) -> Path:
        """The file to keep."""
        return self.images[0].path

    @property
    def undecided(self) -> bool:
        """Whether nothing is clear: no file is spare, and nobody has decided which one stays."""
        return not self.images[0].chosen and not any(image.spare for image in self.images)

    def files(self) -> int:
        """How many files the group has."""
        return sum(len(image.paths) for image in self.images)


class Duplicates(tuple[DuplicateGroup, ...]):
    """The groups of duplicates, those with the most bytes to free first, and what was left out.

    Attributes:
        changed: names of files that are gone or hold something else than when they were indexed;
            they are in no proposal. Indexing again puts the gallery right.
        links: symbolic links, names in linked folders and further hard links, which are no copies.
    """

    changed: tuple[Path, ...]
    links: tuple[Path, ...]

    def __new__(
        cls,
        groups: Iterable[DuplicateGroup] = (),
        changed: tuple[Path, ...] = (),
        links: tuple[Path, ...] = (),
    ) -> Duplicates:
        """Make one of groups in their order."""
        made = super().__new__(cls, tuple(groups))
        made.changed, made.links = changed, links
        return made


@dataclass(frozen=True, slots=True)
class UpgradeProgress:
    """How far an upgrade is.

    Attributes:
        old: the model that the gallery is leaving.
        new: the model that it is going to, which encodes queries and new images already.
        encoded: images that the new model has encoded.
        images: all images.
        by_both: whether queries are encoded by both models, since no bridge was good enough.
        verified: whether the images that wait can be verified by the geometry of their local
            features: those of a model can only be compared with its own.
    """

    old: ModelId
    new: ModelId
    encoded: int
    images: int
    by_both: bool
    verified: bool = True


@dataclass(frozen=True, slots=True)
class TextModelInfo:
    """The text model that a gallery has.

    Attributes:
        name: of the image-text model.
        licence: of its weights, as its files state it; empty where they state none.
        space: of its vectors.
        gallery_space: of the vectors that the map was fitted to. Where the gallery has another
            space by now, the text model has to be fitted again.
        anchors: how many images it was fitted to.
        found: of images kept aside, the share that the map finds first among them.
        combines: whether it has a trained combiner of images and texts.
        folder: name of the folder in the gallery's own.
        tokens: how texts become tokens.
    """

    name: str
    licence: str
    space: str
    gallery_space: str
    anchors: int
    found: float
    combines: bool
    folder: str
    tokens: TokenSettings = field(repr=False)


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery holds.

    Attributes:
        folder: the gallery's folder.
        format: version of the folder's layout.
        model: the model that made the vectors.
        images: number of images, each counted once however many files hold it.
        files: number of files that hold them.
        failed: number of files that could not be read as images.
        in_graph: images that the HNSW graph covers; the others are scanned exactly.
        roots: the folders and files that were added.
        bytes_on_disk: size of the gallery's folder, as allocated.
        detector: name of the detector of the local features.
        without_local_features: images that have no local features and cannot be verified.
        regions: which regions of its images have vectors: ``none``, ``coarse`` or ``fine``.
        without_regions: images that have none, where others have some or it was never decided.
        region_bytes: the part of `bytes_on_disk` that these vectors and their graph take.
        local_feature_bytes: the part of `bytes_on_disk` that local features take.
        bytes_free: space left on the gallery's disk.
        upgrade: how far an upgrade is that is under way.
        text_model: by which words find what they mean.
        store: what keeps the vectors: ``flat`` in the gallery's folder, or ``milvus``.
        collection: of the cluster, where they are in one.
        catalogue: the PostgreSQL schema that has the catalogue, where it is in one.
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
    regions: str
    without_regions: int
    region_bytes: int
    local_feature_bytes: int
    bytes_free: int
    upgrade: UpgradeProgress | None = None
    text_model: TextModelInfo | None = None
    store: str = "flat"
    collection: str | None = None
    catalogue: str | None = None


def image_fields(
    content: Content, paths: Sequence[Path], path: Path | None = None
) -> dict[str, Any]:
    """The fields of a `GalleryImage`.

    Args:
        content: what the catalogue knows of the image.
        paths: its files, at least one.
        path: the file to name first; `None`: the first of them.
    """
    taken = None if content.taken is None else _EPOCH + timedelta(seconds=content.taken)
    position = None
    if content.latitude is not None and content.longitude is not None:
        position = (content.latitude, content.longitude)
    return {
        "id": content.id.hex,
        "path": paths[0] if path is None else path,
        "paths": tuple(paths),
        "width": content.width,
        "height": content.height,
        "bytes": content.bytes,
        "taken": taken,
        "camera": content.camera,
        "position": position,
    }


def plain(value: Any) -> Any:
    """A result as values that JSON can hold: enums as their codes, dates as ISO 8601."""
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: plain(getattr(value, each.name)) for each in fields(value)}
    if isinstance(value, Path | StrEnum):
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, tuple | list):
        return [plain(item) for item in value]
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return value
