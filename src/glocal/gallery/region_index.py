"""The regions of a gallery: which were chosen for it, and where their vectors are."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from uuid import UUID

from glocal.encoders import (
    COARSE,
    FINE,
    NO_REGIONS,
    OnnxEncoder,
    RegionSettings,
    region_settings,
)
from glocal.encoders.long_images import LONG
from glocal.errors import ModelError, ModelMismatchError
from glocal.gallery.catalog import Catalog
from glocal.gallery.layout import Layout, require_settled
from glocal.gallery.model_id import ModelId
from glocal.gallery.passage import Passage
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.graph import GraphKind
from glocal.gallery.stores.mixed import MixedRegions
from glocal.gallery.stores.regions import RegionStore
from glocal.gallery.stores.waiting import Done, WaitingRegions

_STATE = "regions"
_SETTINGS = (COARSE, FINE)


class RegionIndex:
    """Knows the choice that a gallery has made, also when another process changes it.

    Args:
        layout: of the gallery.
        catalog: the gallery's, which notes the choice.
        passage: between the spaces of an upgrade that is under way.
    """

    def __init__(self, layout: Layout, catalog: Catalog, passage: Passage | None = None) -> None:
        self._layout = layout
        self._catalog = catalog
        self._passage = passage
        self._opening = threading.Lock()
        self._stores: dict[str, RegionStore | MixedRegions] = {}

    def close(self) -> None:
        """Release the files."""
        for store in self._stores.values():
            store.close()

    @property
    def choice(self) -> str | None:
        """The name of the regions that the gallery has; `None` of one made before there were any,
        or without images.
        """
        upgrade = self._layout.upgrade
        return upgrade.regions if upgrade else self._catalog.get_state(_STATE)

    @property
    def settings(self) -> RegionSettings | None:
        """The settings of that name; `None` where the gallery has no regions."""
        return region_settings(self.choice or NO_REGIONS)

    @property
    def store(self) -> RegionStore | MixedRegions | None:
        """The vectors of the regions; `None` where the gallery has none."""
        settings = self.settings
        return None if settings is None else self._store(settings)

    def _store(self, settings: RegionSettings) -> RegionStore | MixedRegions:
        with self._opening:
            if settings.name not in self._stores:
                layout, upgrade = self._layout, self._layout.upgrade
                new = region_store(layout, layout.model, settings, self._catalog)
                self._stores[settings.name] = new
                if self._passage is not None and upgrade is not None:
                    # Whose regions count is told by whole vectors: some images have no regions.
                    done = Done(RowTable(self._catalog, layout.model.space))
                    rows = RowTable(self._catalog, regions_space(upgrade.old, settings))
                    old = WaitingRegions(
                        layout.vectors,
                        upgrade.old.dim,
                        settings.count,
                        rows,
                        done,
                        _graph_kind(layout, upgrade.old.dim),
                    )
                    self._stores[settings.name] = MixedRegions(new, old, self._passage)
            return self._stores[settings.name]

    def missing(self) -> list[UUID]:
        """The images that have no regions where the gallery has some.

        Long images that were indexed before their parts had vectors are among them.
        """
        store = self.store
        if store is None:
            return []
        known = store.regions(self._catalog.long_ids(LONG))
        without_parts = {i for i in known if known[i].boxes[:, 2:].max() < 1}
        without_any = self._catalog.content_ids() - {i for i, _ in store.scan()}
        return sorted(without_any | without_parts)

    def settle(self, wanted: str | None, encoder: OnnxEncoder) -> None:
        """Decide which regions a gallery has that has not decided yet.

        Args:
            wanted: a name, or `None` for coarse ones where the model has any.
            encoder: the gallery's model.

        Raises:
            ModelError: regions are wanted, and the model has none.
            ModelMismatchError: the gallery has other regions.
            PartError: there are no regions of that name.
        """
        known = self.choice
        if known is None:
            chosen = wanted or (COARSE.name if encoder.gives_regions else NO_REGIONS)
            _require(chosen, encoder)
            known = self._catalog.set_state_once(_STATE, chosen)
        if wanted not in (None, known):
            region_settings(wanted)
            raise ModelMismatchError(
                f"the regions of gallery {self._layout.folder} are {known}, not {wanted}; "
                f"change those of all images: glocal index --refresh --regions {wanted}"
            )

    def change(self, name: str, encoder: OnnxEncoder) -> None:
        """Make another choice, which removes the regions that there are.

        Raises:
            ModelError: the model has no regions.
            PartError: there are no regions of that name.
            GalleryError: an upgrade is under way.
        """
        require_settled(self._layout)
        _require(name, encoder)
        with self._catalog.change():
            known, store = self.choice, self.store
            if name == known:
                return
            if store is not None:
                store.clear()
            self._catalog.set_state(_STATE, name)
        self.sweep()

    def require(self, name: str | None) -> None:
        """Make sure that the gallery's choice is still this one.

        Raises:
            ModelMismatchError: another process has changed it.
        """
        if self.choice != name:
            raise ModelMismatchError(
                f"the regions of gallery {self._layout.folder} were changed from {name} to "
                f"{self.choice} meanwhile; run the same command again"
            )

    def sweep(self) -> None:
        """Delete files that nobody needs any more; see `RowFile.sweep`."""
        for store in self._every():
            store.sweep()

    def note(self, name: str) -> None:
        """Note which regions a gallery has when an upgrade has ended, one way or the other."""
        self._catalog.set_state(_STATE, name)

    def _every(self) -> Iterator[RegionStore | MixedRegions]:
        for settings in _SETTINGS:
            yield self._store(settings)


def regions_space(model: ModelId, settings: RegionSettings) -> str:
    """The space of a model's regions in the catalogue."""
    return f"{model.space}/{settings.name}-{settings.count}"


def region_store(
    layout: Layout, model: ModelId, settings: RegionSettings, catalog: Catalog
) -> RegionStore:
    """The store of a model's regions.

    Args:
        layout: of the gallery.
        model: that makes them.
        settings: which regions.
        catalog: the gallery's.
    """
    rows = RowTable(catalog, regions_space(model, settings))
    graph = _graph_kind(layout, model.dim)
    return RegionStore(layout.vectors, model.dim, settings.count, rows, graph)


def _graph_kind(layout: Layout, dim: int) -> GraphKind:
    """What a graph over regions holds: their bytes in galleries whose whole vectors are float16."""
    return "signs" if layout.store.coding.graph_kind(dim) == "signs" else "bytes"


def _require(name: str, encoder: OnnxEncoder) -> None:
    if region_settings(name) is not None and not encoder.gives_regions:
        raise ModelError(
            f"model {encoder.card.name} v{encoder.card.version} does not say what each cell of an "
            "image contributes to its vector, so there are no vectors of regions; leave --regions "
            "out, or index with a model that does, such as the bundled one"
        )
