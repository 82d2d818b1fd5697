"""Find the same thing in your images: the same building, product, painting, place or object.

>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> from PIL import Image
>>> import glocal
>>> folder = Path(tempfile.mkdtemp())
>>> random = np.random.default_rng(0)
>>> for name in ("harbour.png", "market.png", "tower.png"):
...     blocks = random.integers(0, 256, (6, 8, 3), dtype=np.uint8)
...     Image.fromarray(blocks).resize((320, 240)).save(folder / name)
>>> with glocal.open(folder / "gallery") as gallery:
...     report = gallery.add(folder)
...     for hit in gallery.search(folder / "tower.png", limit=1):
...         print(report.added, hit.rank, hit.path.name, hit.evidence.verdict.label)
3 1 tower.png identical file
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# ONNX Runtime's builds report their use to Microsoft from 1.32 on, Linux too, if nothing says no
# before they are imported. Nothing of glocal's leaves the machine; who wants it sets this to "0".
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

if TYPE_CHECKING:
    from glocal.errors import GlocalError
    from glocal.gallery import (
        DuplicateGroup,
        Galleries,
        Gallery,
        GalleryHit,
        GalleryImage,
        Hit,
        IndexReport,
        Query,
        SearchResult,
    )
    from glocal.gallery import Gallery as open  # noqa: A004, N813 - as in gzip.open
    from glocal.images import Limits
    from glocal.ranking.evidence import Evidence, Verdict

_MODULES = {
    "DuplicateGroup": "glocal.gallery",
    "Evidence": "glocal.ranking.evidence",
    "Galleries": "glocal.gallery",
    "Gallery": "glocal.gallery",
    "GalleryHit": "glocal.gallery",
    "GalleryImage": "glocal.gallery",
    "GlocalError": "glocal.errors",
    "Hit": "glocal.gallery",
    "IndexReport": "glocal.gallery",
    "Limits": "glocal.images",
    "Query": "glocal.gallery",
    "SearchResult": "glocal.gallery",
    "Verdict": "glocal.ranking.evidence",
}

__all__ = [
    "DuplicateGroup",
    "Evidence",
    "Galleries",
    "Gallery",
    "GalleryHit",
    "GalleryImage",
    "GlocalError",
    "Hit",
    "IndexReport",
    "Limits",
    "Query",
    "SearchResult",
    "Verdict",
    "__version__",
    "open",
]


def __getattr__(name: str) -> Any:
    """Import a name when it is first used, so that `import glocal` is fast."""
    if name == "open":
        return import_module("glocal.gallery").Gallery
    if name in _MODULES:
        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module 'glocal' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
