"""Requests and responses, typed; the description of the API is made of these.

A response is one of Python's own result types. Those that contain images are derived from it here,
because on the wire an image also has addresses; nothing else differs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, WithJsonSchema, field_validator

from glocal.gallery import locating
from glocal.gallery import results as python
from glocal.gallery.word_forms import MOST_CHARACTERS
from glocal.query.relations import RELATIONS
from glocal.web import results as server
from glocal.web.settings import ThumbnailSize

ImageId = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="The id of an image.")]
SourceId = Annotated[
    str,
    Field(
        pattern="^([0-9a-f]{32}|u-[A-Za-z0-9_-]{22})$",
        description="The id of an image of the gallery, or of an upload.",
    ),
]
ThumbnailParameter = Annotated[
    ThumbnailSize, Field(description="Pixels that the longer side has at most.")
]
MOST_HITS = 1_000
MOST_EXAMPLES = 16
MOST_SELECTED = 1_000

Region = tuple[float, float, float, float]
RelationName = Annotated[str, Field(pattern=f"^({'|'.join(RELATIONS)})$")]
_CAMERA_TIME = {
    "anyOf": [{"type": "string", "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d$"}, {"type": "null"}]
}


class Problem(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="A code for programs, such as urn:glocal:image.")
    title: str = Field(description="The status in words.")
    status: int = Field(description="The HTTP status.")
    detail: str | None = Field(None, description="What was wrong and what to do.")


# Requests


class SearchOptions(BaseModel):
    """How to search."""

    model_config = ConfigDict(extra="forbid")

    where: str | None = Field(
        None,
        max_length=10_000,
        description="A condition that the hits meet, such as `taken >= 2019 and width > 1000`.",
    )
    limit: int = Field(10, ge=1, le=MOST_HITS, description="How many images to return at most.")
    exact: bool = Field(
        False, description="Compare with every image instead of searching the graph."
    )
    rerank: str | None = Field(
        None,
        max_length=100,
        description="The reranker for the best hits, or `none`; without it the default.",
    )
    verify: bool = Field(
        True, description="Verify the best hits by the geometry of their local features."
    )
    small_objects: bool = Field(
        False, description="Compare the local features of every image, to find small objects."
    )
    regions: bool = Field(
        True,
        description="Compare regions of the images too, where the gallery has them and no reranker "
        "is named.",
    )
    min_score: float | None = Field(
        None,
        ge=-1,
        le=1,
        description="Leave out hits whose `score` is below this, except matches. They count for "
        "`limit` and `offset`.",
    )


class SearchRequest(SearchOptions):
    """A search. Exactly one of the query image, `query` and `url` is needed, or `text`, or both."""

    text: str | None = Field(
        None,
        max_length=MOST_CHARACTERS,
        description="Words in names of files and folders, in captions and, where they were read, "
        "in the images. Where the gallery has a text model, also what they mean, unless all are in "
        "quotes. With a query image all rankings are fused; without one, `region`, `like`, "
        "`unlike`, `rerank` and `small_objects` are refused.",
    )
    change: str | None = Field(
        None,
        max_length=MOST_CHARACTERS,
        description="In words, how what is to be found differs from the query image, such as `in "
        "blue`. It needs a query image and a gallery with a text model, and takes no `text`, "
        "`rerank` or `small_objects`; its hits are not verified.",
    )

    query: SourceId | None = Field(
        None, description="The id of the query: an image of the gallery or an earlier upload."
    )
    url: str | None = Field(
        None,
        max_length=2_000,
        description="The address of the query image, if the server allows addresses.",
    )
    region: Region | None = Field(
        None,
        description="The part of the query image to search for: x, y, width and height in pixels "
        "of the upright image, or as fractions if all are at most 1.",
    )
    sketch: bool = Field(
        False,
        description="The query image is a drawing: find what it shows. `text`, `change`, `region`, "
        "`like`, `unlike`, `rerank` and `small_objects` are refused; nothing is verified.",
    )
    any_view: bool = Field(
        False,
        description="Find what a sketch shows from any view; the server's owner has to run glocal "
        "sketches first.",
    )
    second_region: Region | None = Field(
        None,
        description="Of the same image a second region: find images in which both things stand to "
        "each other as there. `text`, `change`, `like`, `unlike`, `rerank` and `small_objects` are "
        "refused.",
    )
    relation: RelationName | None = Field(
        None,
        description="How the thing of `region` has to stand to that of `second_region`, instead of "
        "as in the query image.",
    )
    like: list[SourceId] = Field(
        [], max_length=MOST_EXAMPLES, description="Positive examples, besides the query."
    )
    unlike: list[SourceId] = Field([], max_length=MOST_EXAMPLES, description="Negative examples.")
    offset: int = Field(0, ge=0, le=10_000, description="How many of the best hits to leave out.")

    @field_validator("region", "second_region", mode="before")
    @classmethod
    def _split_region(cls, value: Any) -> Any:
        return read_region(value) if isinstance(value, str) else value


class BatchRequest(SearchOptions):
    """Several searches with the same options: one for each image and each id."""

    query: list[SourceId] = Field(
        [],
        max_length=MOST_EXAMPLES,
        description="The ids of queries: images of the gallery or earlier uploads.",
    )


class LocateRequest(BaseModel):
    """A photo whose place is wanted: exactly one of the image and `query` is needed."""

    model_config = ConfigDict(extra="forbid")

    query: SourceId | None = Field(
        None, description="The id of the photo: an image of the gallery or an earlier upload."
    )
    where: str | None = Field(
        None, max_length=10_000, description="A condition on the photos that it is compared with."
    )
    limit: int = Field(5, ge=1, le=50, description="How many places to return at most.")


def read_region(text: str | None) -> Region | None:
    """A region that is written as text; `None` or a blank text means no region.

    Raises:
        ValueError: the text is not four numbers.
    """
    if text is None or not text.strip():
        return None
    try:
        x, y, width, height = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(
            "the region is not four numbers; give x,y,width,height such as 10,20,300,200"
        ) from None
    return x, y, width, height


class RunRequest(BaseModel):
    """The folder of an index run."""

    model_config = ConfigDict(extra="forbid")

    folder: str = Field(
        min_length=1, max_length=4_096, description="An allowed folder, or one below it."
    )


class ComparisonRequest(BaseModel):
    """A comparison of all images, to find duplicates."""

    model_config = ConfigDict(extra="forbid")

    level: Literal["copy", "object"] = Field(
        "copy", description="What the groups are made of; identical files need no comparison."
    )
    prefer: str | None = Field(None, max_length=4_096, description="As for the list of duplicates.")


class SelectionRequest(BaseModel):
    """Images to download."""

    model_config = ConfigDict(extra="forbid")

    images: list[ImageId] = Field(
        min_length=1, max_length=MOST_SELECTED, description="The ids of the images."
    )


class DecisionRequest(BaseModel):
    """A decision about duplicates."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["not_duplicates", "keep"] = Field(
        description="`not_duplicates`: of these images none is a duplicate of another. `keep`: of "
        "its group each of these images stays."
    )
    images: list[ImageId] = Field(
        min_length=1, max_length=1_000, description="The images; not_duplicates needs two or more."
    )
    undo: bool = Field(False, description="Undo the decision instead.")
    level: server.DuplicateLevel = Field(
        "copy", description="The level of the groups that are returned."
    )
    prefer: str | None = Field(
        None, max_length=4_096, description="The preferred folder of the groups that are returned."
    )


class LoginRequest(BaseModel):
    """The token that is exchanged for a cookie."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=1_000, description="The server's token.")


# Responses


@dataclass(frozen=True, kw_only=True)
class Served:
    """What an image has on the wire besides the fields that it has in Python.

    Attributes:
        taken: when, by the camera's own clock, which knows no time zone.
        position: latitude and longitude in degrees (WGS 84), if the server shows positions.
        name: the last part of the path.
        thumbnail: the address of a small version; add `?size=`.
        file: the address of the whole image.
    """

    taken: Annotated[datetime | None, WithJsonSchema(_CAMERA_TIME)] = None
    name: str
    thumbnail: str
    file: str


@dataclass(frozen=True, slots=True, kw_only=True)
class GalleryImage(Served, python.GalleryImage):
    """An image of the gallery, known by its content whatever files hold it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit(Served, python.Hit):
    """One image that a search found."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateImage(Served, python.DuplicateImage):
    """An image of a group of duplicates; `path` is, of its files, the one to keep."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup(python.DuplicateGroup):
    """Images, or files of one image, of which one is enough.

    Attributes:
        rows: what is proposed for each file, the file to keep first.
    """

    images: tuple[DuplicateImage, ...]
    rows: tuple[server.DuplicateRow, ...]


@dataclass(frozen=True, slots=True)
class Decided:
    """What became of a decision.

    Attributes:
        changed: how many pairs, or images, the decision is about that were not so decided before.
        groups: what the groups of these images are now; `None` where the images have to be
            compared again: request /v1/duplicates.
    """

    changed: int
    groups: tuple[DuplicateGroup, ...] | None


@dataclass(frozen=True, slots=True)
class DecisionList:
    """What was decided about images that the gallery has.

    Attributes:
        not_duplicates: sets of images that hang together by pairs of which neither is a duplicate
            of the other.
        keep: images that stay.
    """

    not_duplicates: tuple[tuple[GalleryImage, ...], ...]
    keep: tuple[GalleryImage, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchPage(server.SearchPage):
    """A part of the answer to a search, best first."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbablePlace(locating.ProbablePlace):
    """A place at which a photo may have been taken."""

    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Located(server.LocatedPage):
    """Where a photo was probably taken."""

    places: tuple[ProbablePlace, ...]


@dataclass(frozen=True, slots=True)
class BatchItem:
    """The answer to one search of a batch: either a result or a problem.

    Attributes:
        result: what was found.
        problem: why this search failed.
    """

    result: SearchPage | None = None
    problem: Problem | None = None


@dataclass(frozen=True, slots=True)
class BatchPage:
    """The answers to a batch.

    Attributes:
        results: one for each query, in order: images first, then ids.
    """

    results: tuple[BatchItem, ...]


@dataclass(frozen=True, slots=True)
class ImagePage(server.ImagePage):
    """A page of the gallery's images."""

    images: tuple[GalleryImage, ...]


@dataclass(frozen=True, slots=True)
class DuplicatesPage(server.DuplicatesPage):
    """Groups of duplicates, those first that would free the most bytes."""

    groups: tuple[DuplicateGroup, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class IndexRuns:
    """The index runs of this server.

    Attributes:
        runs: the latest first.
    """

    runs: tuple[server.IndexRun, ...]


@dataclass(frozen=True, slots=True)
class Removed:
    """What was removed from the index; nothing on disk is changed.

    Attributes:
        removed: number of files that held the image.
    """

    removed: int


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the server runs.

    Attributes:
        status: always ok; otherwise there is a problem instead.
    """

    status: Literal["ok"] = "ok"
