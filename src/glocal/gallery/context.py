"""What belongs to one open gallery and is needed wherever something is done with it."""

from __future__ import annotations

from dataclasses import dataclass

from glocal.gallery.catalog import Catalog
from glocal.gallery.layout import Layout
from glocal.gallery.region_index import RegionIndex
from glocal.gallery.stores.base import Store
from glocal.images import Limits


@dataclass(frozen=True, slots=True)
class Context:
    """An open gallery.

    Attributes:
        layout: its folder and model.
        catalog: which files hold which images.
        store: the vectors.
        regions: the vectors of the images' regions, if it has any.
        limits: how large images may be.
    """

    layout: Layout
    catalog: Catalog
    store: Store
    regions: RegionIndex
    limits: Limits
