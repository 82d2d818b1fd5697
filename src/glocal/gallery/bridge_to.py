"""A bridge by which the vectors of another model, such as a service's, search a gallery."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from glocal import __version__
from glocal.errors import QueryError
from glocal.upgrade import BridgeMeasurement, fit_bridge, save_bridge

if TYPE_CHECKING:
    from glocal.gallery.base import GalleryBase


def bridge_to(
    gallery: GalleryBase,
    vectors: Mapping[str | os.PathLike[str], ArrayLike],
    target: str | os.PathLike[str],
    *,
    space: str,
) -> BridgeMeasurement:
    """Fit a bridge on images of a gallery that the other model has encoded too, and save it.

    Args:
        gallery: the one to be searched; it stays as it is.
        vectors: the other model's vectors ``(d,)``, by the path of a file of the gallery; at least
            100, and better some thousands.
        target: the file to write, such as ``service.bridge``, for `Gallery.search_vector` and
            ``glocal search --vector FILE --bridge FILE``.
        space: name of the other model's vector space; another version of it is another space.

    Returns:
        What the bridge finds, measured on a fifth of the images that it was then not fitted to.

    Raises:
        QueryError: the gallery has no image of one of the files, or the space is its own.
        BridgeError: the vectors are too few or do not fit together, or the file cannot be written.
    """
    if space == gallery.space:
        raise QueryError(
            f"{space!r} is the gallery's own space, whose vectors need no bridge; name the space "
            "of the vectors that are given"
        )
    ids = {path: gallery.content_of(path) for path in vectors}
    unknown = next((path for path, i in ids.items() if i is None), None)
    if unknown is not None:
        raise QueryError(f"the gallery has no image of {unknown}; index it, or leave it out")
    known = gallery.opened().context.store.vectors([i for i in ids.values() if i is not None])
    encoded = {path: known[i] for path, i in ids.items() if i in known}
    theirs: list[Any] = [vectors[path] for path in encoded]
    fitted = fit_bridge([*encoded.values()], theirs)
    save_bridge(
        Path(target),
        fitted.bridge,
        old_space=gallery.space,
        new_space=space,
        anchors=fitted.anchors,
        glocal_version=__version__,
        measured=fitted.measured.figures(),
    )
    return fitted.measured
