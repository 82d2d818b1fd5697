"""What goes over the wire, typed; the API's description is made of these."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

ImageId = Annotated[str, Field(pattern="^[0-9a-f]{32}$", description="names an image")]
SourceId = Annotated[
    str,
    Field(
        pattern="^([0-9a-f]{32}|u-[A-Za-z0-9_-]{22})$",
        description="an image of the gallery, or an upload of an earlier search",
    ),
]
MOST_HITS = 1_000


class Problem(BaseModel):
    """A problem (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str | None = None


class Question(BaseModel):
    """A search. The first image of all is the query; the others show the same thing."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    query: SourceId | None = Field(
        None, description="search again with an earlier query, or with an image of the gallery"
    )
    like: list[SourceId] = Field([], max_length=16, description="images of what is sought")
    unlike: list[SourceId] = Field(
        [], max_length=16, alias="not", description="images of what is not"
    )
    url: str | None = Field(None, max_length=2_000, description="fetch the query, where allowed")
    region: str | None = Field(
        None,
        max_length=200,
        description="x,y,w,h of the query, in pixels of the upright image or as fractions",
    )
    where: str | None = Field(None, max_length=10_000, description="a condition on the images")
    limit: int = Field(50, ge=1, le=MOST_HITS)
    offset: int = Field(0, ge=0, le=10_000)

    @field_validator("like", "unlike", mode="before")
    @classmethod
    def _one_or_many(cls, value: Any) -> Any:
        return value.split(",") if isinstance(value, str) else value

    def box(self) -> tuple[float, float, float, float] | None:
        """The region as four numbers.

        Raises:
            ValueError: it is not.
        """
        if self.region is None or not self.region.strip():
            return None
        try:
            x, y, w, h = (float(part) for part in self.region.split(","))
        except ValueError:
            raise ValueError("region is four numbers such as 10,20,300,200") from None
        return x, y, w, h


class Position(BaseModel):
    """A place in degrees (WGS 84)."""

    latitude: float
    longitude: float


class GalleryImage(BaseModel):
    """An image of the gallery. Addresses are relative to the server."""

    id: ImageId
    path: str = Field(description="of its first file that meets the condition")
    name: str = Field(description="the last part of the path")
    copies: int = Field(description="how many files hold it")
    width: int
    height: int
    bytes: int
    taken: str | None = Field(
        description="YYYY-MM-DDTHH:MM:SS by the camera's own clock, which knows no zone"
    )
    camera: str | None
    position: Position | None = Field(description="only where the owner shows positions")
    thumbnail: str = Field(description="address without its size: add ?size=")
    image: str = Field(description="address of the whole image")


class GalleryImageDetails(GalleryImage):
    """An image with every file that holds it."""

    paths: list[str]


class ImagePage(BaseModel):
    """A page of images."""

    images: list[GalleryImage]
    total: int | None = Field(description="of the whole list; only on its first page")
    next: str | None = Field(description="cursor of the page that follows")


class FoundImage(GalleryImage):
    """An answer to a search."""

    rank: int
    score: float = Field(description="similarity, in [-1, 1]")
    evidence: dict[str, Any]


class Answer(BaseModel):
    """The answers to a search, best first."""

    query: SourceId = Field(description="searches again, and asks for explanations")
    uploads: list[SourceId] = Field(description="of each uploaded image, in order")
    model: str
    hits: list[FoundImage]
    more: bool = Field(description="whether further hits follow")
    timings_ms: dict[str, float]


class Model(BaseModel):
    """A model."""

    name: str
    version: int
    dim: int
    sha256: str


class Features(BaseModel):
    """What this server does."""

    urls: bool
    positions: bool
    removing: bool = Field(description="whether images can be forgotten")
    index_runs: bool
    uploads: bool
    explanations: list[str]
    login: bool = Field(description="whether a token is needed")


class Bounds(BaseModel):
    """What a client has to keep to."""

    image_bytes: int
    image_pixels: int
    body_bytes: int
    images: int
    hits: int
    thumbnail_sizes: list[int]


class Info(BaseModel):
    """What the gallery holds and the server does."""

    version: str
    images: int
    files: int
    skipped: int
    in_graph: int
    model: Model
    roots: list[str]
    allowed_folders: list[str]
    features: Features
    limits: Bounds


class Health(BaseModel):
    """Whether the server lives, or is ready."""

    status: Literal["ok", "draining"]


class FolderFacet(BaseModel):
    """A folder and how many files lie in it and below."""

    path: str
    name: str
    parent: str | None
    files: int


class MonthFacet(BaseModel):
    """A month, YYYY-MM, and how many images were taken in it."""

    month: str
    images: int


class CameraFacet(BaseModel):
    """A camera and how many images it took."""

    camera: str
    images: int


class PlaceFacet(Position):
    """Images taken close together, and one of them."""

    images: int
    id: ImageId


class Facets(BaseModel):
    """What there is to filter by."""

    folders: list[FolderFacet]
    months: list[MonthFacet]
    undated: int
    cameras: list[CameraFacet]
    places: list[PlaceFacet] = Field(description="empty unless the owner shows positions")


class Removed(BaseModel):
    """How many files the gallery forgot; the files themselves stay."""

    removed: int


class RunRequest(BaseModel):
    """Ask for an index run."""

    model_config = ConfigDict(extra="forbid")

    folder: str = Field(min_length=1, max_length=4_096)


class RunProgress(BaseModel):
    """How far a run is; stages are scan, encode and graph."""

    stage: str
    done: int
    total: int | None
    unchanged: int
    failed: int


class Skipped(BaseModel):
    """A file that could not be used."""

    path: str
    reason: str


class RunReport(BaseModel):
    """What a run did, in files; at most 1,000 of the skipped are listed."""

    added: int
    updated: int
    unchanged: int
    removed: int
    failed: int
    skipped: list[Skipped]
    seconds: float


class Run(BaseModel):
    """An index run."""

    id: str
    folder: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    asked: datetime
    progress: RunProgress | None
    report: RunReport | None
    error: str | None


class Runs(BaseModel):
    """The index runs of this server, the latest first."""

    runs: list[Run]


class Added(BaseModel):
    """Images that were kept, and the run that makes them part of the gallery."""

    images: list[ImageId]
    run: Run


class Login(BaseModel):
    """Exchange the token for a cookie."""

    model_config = ConfigDict(extra="forbid")

    token: str = Field(min_length=1, max_length=1_000)


DuplicateLevel = Literal["identical", "copy", "object"]


class DuplicateImage(GalleryImageDetails):
    """An image of a group; `path` is, of the files that hold it, the one to keep."""

    verdict: Literal["copy", "same object or place"] | None = Field(
        description="what it is to the first, or to the member it is tied to best; null: the first"
    )
    same_probability: float = Field(description="that they show the same object or place")
    copy_probability: float = Field(description="that one was made of the other")
    removable: bool = Field(
        description="whether the first shows all that it shows, about as finely"
    )
    spare: list[str] = Field(description="of `paths` those without which nothing is lost")


class DuplicateGroup(BaseModel):
    """The same image more than once: as files (`paths`), or as images that differ."""

    kind: Literal["identical", "copy", "same"] = Field(
        description="the weakest tie in it: its files are the same byte for byte; images were "
        "made of one another; or images show the same object or place"
    )
    images: list[DuplicateImage] = Field(description="the one to keep first")
    left_out: int = Field(description="images at its end that were too many to list")
    bytes_to_free: int = Field(description="of the files that are spare")


class ComparisonProgress(BaseModel):
    """How far a comparison is; stages are neighbours and verify."""

    stage: str
    done: int
    total: int | None


class Duplicates(BaseModel):
    """Groups of duplicates, those first that would free most; identical ones in no such order."""

    level: DuplicateLevel
    state: Literal["looking", "done"] = Field(
        description="looking: there are no groups yet; ask again in a moment"
    )
    progress: ComparisonProgress | None = Field(
        description="while it is looking, once it has begun"
    )
    groups: list[DuplicateGroup]
    total: int | None = Field(description="groups of the whole list; only on its first page")
    left_out: int = Field(description="groups at the end of the list that were too many to keep")
    bytes_to_free: int | None = Field(description="of all groups; only on the first page")
    next: str | None = Field(description="cursor of the page that follows")
