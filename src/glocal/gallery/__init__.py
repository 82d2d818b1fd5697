"""A durable collection of images that can be searched by image."""

from glocal.gallery.duplicates import Duplicate, DuplicateGroup
from glocal.gallery.gallery import Gallery, default_folder
from glocal.gallery.health import Health
from glocal.gallery.progress import Progress
from glocal.gallery.results import Failure, GalleryInfo, Hit, IndexReport, SearchResult

__all__ = [
    "Duplicate",
    "DuplicateGroup",
    "Failure",
    "Gallery",
    "GalleryInfo",
    "Health",
    "Hit",
    "IndexReport",
    "Progress",
    "SearchResult",
    "default_folder",
]
