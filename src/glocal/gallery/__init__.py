"""A durable collection of images that can be searched by an image."""

from glocal.gallery.base import default_folder
from glocal.gallery.galleries import Galleries
from glocal.gallery.gallery import Gallery
from glocal.gallery.health import Health
from glocal.gallery.importing import ImportReport
from glocal.gallery.progress import Progress
from glocal.gallery.query import Query
from glocal.gallery.results import (
    DuplicateGroup,
    DuplicateImage,
    Duplicates,
    Failure,
    GalleryHit,
    GalleryImage,
    GalleryInfo,
    GroupKind,
    Hit,
    IndexReport,
    SearchResult,
)

__all__ = [
    "DuplicateGroup",
    "DuplicateImage",
    "Duplicates",
    "Failure",
    "Galleries",
    "Gallery",
    "GalleryHit",
    "GalleryImage",
    "GalleryInfo",
    "GroupKind",
    "Health",
    "Hit",
    "ImportReport",
    "IndexReport",
    "Progress",
    "Query",
    "SearchResult",
    "default_folder",
]
