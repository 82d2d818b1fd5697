"""What is open of a gallery as long as its ``gallery.json`` stays the same."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from glocal.encoders import COARSE
from glocal.gallery import found
from glocal.gallery.catalog import Catalog
from glocal.gallery.changing import Changes
from glocal.gallery.context import Context
from glocal.gallery.joined_rows import JoinedRows
from glocal.gallery.layout import Layout, Stamp
from glocal.gallery.models import Models
from glocal.gallery.passage import Passage
from glocal.gallery.query import Query, QueryMaker
from glocal.gallery.read_regions import ReadRegions
from glocal.gallery.region_index import RegionIndex
from glocal.gallery.results import SearchResult
from glocal.gallery.rows import RowTable
from glocal.gallery.searching import Searcher
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.mixed import MixedRegions, MixedStore
from glocal.gallery.stores.waiting import Done, WaitingStore
from glocal.images import Limits
from glocal.registry import load


@dataclass(frozen=True, slots=True)
class Opened:
    """A gallery under one description.

    Attributes:
        stamp: of the ``gallery.json`` that was read; see `glocal.gallery.layout.stamp_of`.
        context: where everything is.
        rows: the table of all its images.
        models: what describes them.
        changes: what changes the gallery.
        read_regions: regions that were read for earlier searches.
    """

    stamp: Stamp
    context: Context
    rows: RowTable | JoinedRows
    models: Models
    changes: Changes
    read_regions: ReadRegions

    @classmethod
    def of(
        cls,
        layout: Layout,
        catalog: Catalog,
        limits: Limits,
        *,
        side_by_side: bool,
        budget_ms: float | None = None,
    ) -> Opened:
        """Open what a layout says.

        Raises:
            GalleryDamagedError: an upgrade is under way, and its bridge is missing or damaged.
        """
        folder, upgrade, new = layout.vectors, layout.upgrade, RowTable(catalog, layout.model.space)
        context = Context(
            layout, catalog, store_of(layout, catalog, new), RegionIndex(layout, catalog), limits
        )
        rows: RowTable | JoinedRows = new
        if upgrade is not None:
            coding = layout.store.coding
            store = FlatStore(folder, layout.model.dim, new, coding)
            passage = Passage.open(layout.folder, upgrade)
            old = RowTable(catalog, upgrade.old.space)
            waiting = WaitingStore(folder, upgrade.old.dim, old, Done(new), coding)
            mixed = MixedStore(store, waiting, passage)
            context = Context(layout, catalog, mixed, RegionIndex(layout, catalog, passage), limits)
            rows = JoinedRows(old, new)
        models = Models(layout, catalog, side_by_side=side_by_side, budget_ms=budget_ms)
        changes = Changes(context, models)
        return cls(layout.stamp, context, rows, models, changes, ReadRegions())

    def query_maker(self, *, regions: bool) -> QueryMaker:
        """What makes queries of images.

        Args:
            regions: whether they are to be compared with regions too.
        """
        layout = self.context.layout
        by_both = layout.upgrade is not None and layout.upgrade.by_both
        return QueryMaker(
            self.models.encoder(),
            layout.model.space,
            self.context.limits,
            regions and self.context.regions.store is not None,
            self.models.old_encoder() if by_both else None,
        )

    def searcher(self, query: Query, *, verify: bool) -> Searcher:
        """What answers a query.

        Args:
            query: the query.
            verify: whether its best matches are verified.
        """
        context, model = self.context, self.context.layout.model
        store, regions = context.store, context.regions.store
        if query.old is not None and isinstance(store, MixedStore):
            store = store.asked(query.old)
            if isinstance(regions, MixedRegions) and query.regions is not None:
                regions = regions.asked(query.old)
        return Searcher(
            context.catalog,
            store,
            model,
            model.space,
            self.models.verifier() if verify else None,
            regions,
            (context.regions.settings or COARSE).margin,
            self.models.encoder() if verify else None,
            self.read_regions,
        )

    def note_found(self, result: SearchResult) -> None:
        """Note what was found and is waiting for the new model, which then encodes it first."""
        if self.context.layout.upgrade is not None:
            found.note(self.context.layout.found, [UUID(hex=hit.id) for hit in result.hits])

    def sweep(self) -> None:
        """Delete files that nobody needs any more; see `RowFile.sweep`."""
        store = self.context.store
        if isinstance(store, FlatStore | MixedStore):
            store.sweep()
        self.context.regions.sweep()

    def close(self) -> None:
        """Release the files."""
        self.context.store.close()
        self.context.regions.close()


def store_of(layout: Layout, catalog: Catalog, rows: RowTable) -> Store:
    """What keeps the vectors of the gallery's space.

    Args:
        layout: of the gallery.
        catalog: the gallery's, or a copy of it.
        rows: the table of all its images, in that catalogue.
    """
    model, place = layout.model, layout.store
    if not place.elsewhere:
        return FlatStore(layout.vectors, model.dim, rows, place.coding)
    store: Store = load("store", place.kind).open(
        layout.cluster, place.collection, model.dim, catalog, rows, place.coding
    )
    return store
