"""glocal finds the same thing in your images.

>>> import glocal
>>> with glocal.open("my-gallery") as gallery:          # doctest: +SKIP
...     gallery.add("~/Pictures")
...     for hit in gallery.search("query.jpg"):
...         print(hit.rank, hit.path, hit.score)
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from glocal.errors import GlocalError
    from glocal.gallery import Gallery, Hit, IndexReport, SearchResult
    from glocal.gallery import Gallery as open  # noqa: A004, N813 - as in gzip.open
    from glocal.images import Limits

_WHERE = {
    "GlocalError": "glocal.errors",
    "Gallery": "glocal.gallery",
    "Hit": "glocal.gallery",
    "IndexReport": "glocal.gallery",
    "SearchResult": "glocal.gallery",
    "Limits": "glocal.images",
}

__all__ = [
    "Gallery",
    "GlocalError",
    "Hit",
    "IndexReport",
    "Limits",
    "SearchResult",
    "__version__",
    "open",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that `import glocal` itself does no work."""
    if name == "open":
        return import_module("glocal.gallery").Gallery
    if name in _WHERE:
        return getattr(import_module(_WHERE[name]), name)
    raise AttributeError(f"module 'glocal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
