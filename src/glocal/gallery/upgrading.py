"""Upgrading a gallery to another model while it stays in use.

The vectors of both models lie beside each other in the gallery's folder, each in the space of its
model, in one catalogue; ``gallery.json`` says which model answers and, while an upgrade is under
way, everything else that is to be known of it (`UnderWay`). Replacing that one file, inside a
transaction of the catalogue that keeps all writers out, is the only step at which anything changes
for anybody:

1. **begin**: the new model and the bridges are copied into the folder, then ``gallery.json`` names
   the new model. From then on queries and new images are encoded by it; images without a new
   vector are searched through the bridge (`MixedStore`), or by the old model beside it.
2. **carry on**: an ordinary resumable run over the images that the new space lacks, batch by
   batch, those that searches found lately first. A batch is one transaction: vector, regions and
   local features of an image change together, and the row in the new space is the only record of
   it. Killed at any moment, it goes on with what is missing.
3. **finish**: when nothing is missing, ``gallery.json`` names the new model alone, in format 2
   again. The old space is cleared and its files are deleted afterwards.
4. **back**, at any moment before: ``gallery.json`` names the old model alone. Its vectors were
   never touched; images that were added meanwhile are encoded by it first. Local features that
   were replaced are found again.

What is left of a space that ``gallery.json`` does not name goes with the next opening that can
write (`sweep_left`). Other processes look at ``gallery.json`` before and after each search, and
inside each batch that they write (`Layout.require_current`). Earlier versions of glocal refuse a
gallery whose upgrade is under way, since its format is 3.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from uuid import UUID

from glocal import __version__
from glocal.encoders.precision import twin_path
from glocal.encoders.regions import REGION_CHOICES, region_settings
from glocal.errors import GalleryError, GalleryLockedError
from glocal.gallery import batches, found
from glocal.gallery.catalog import Catalog
from glocal.gallery.completing import Keep, complete, keep_local_features, keep_regions
from glocal.gallery.describing import Describer, Description
from glocal.gallery.health import differences
from glocal.gallery.indexing import build_graphs
from glocal.gallery.layout import (
    Layout,
    copy_encoder,
    read_description,
    require_embedded,
    write_description,
)
from glocal.gallery.locks import locked
from glocal.gallery.model_id import ModelId
from glocal.gallery.opened import Opened
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.proposing import ANCHORS, Proposal, propose
from glocal.gallery.records import Record
from glocal.gallery.region_index import region_store
from glocal.gallery.results import UpgradeProgress
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.mixed import MixedRegions, MixedStore
from glocal.gallery.stores.regions import RegionStore
from glocal.gallery.under_way import UnderWay
from glocal.upgrade import save_bridge

_LEFT = "upgrade_left"
"""State: the models whose spaces and files go unless ``gallery.json`` names them."""

_AT_ONCE = 4 * batches.BATCH  # images between two looks at what was found lately


@dataclass(frozen=True, slots=True)
class UpgradeReport:
    """What a run of an upgrade did.

    Attributes:
        encoded: images that the new model has encoded in this run.
        left: images that wait, since none of their files can be read as it was indexed.
        finished: whether the gallery is of the new model alone now.
        seconds: duration of the run.
    """

    encoded: int
    left: int
    finished: bool
    seconds: float


class Upgrade:
    """The upgrade of one gallery: proposed, begun, carried on, finished or taken back.

    Args:
        catalog: the gallery's.
        now: gives what is open of it now.
    """

    def __init__(self, catalog: Catalog, now: Callable[[], Opened]) -> None:
        self._catalog = catalog
        self._now = now

    def progress(self) -> UpgradeProgress | None:
        """How far the upgrade is; `None` where none is under way."""
        opened = self._now()
        layout, store = opened.context.layout, opened.context.store
        if layout.upgrade is None or not isinstance(store, MixedStore):
            return None
        upgrade, waiting = layout.upgrade, store.old.status().vectors
        encoded = store.new.status().vectors
        readable = not upgrade.replaces_local_features or layout.copy_of(upgrade.old).exists()
        return UpgradeProgress(
            upgrade.old, layout.model, encoded, encoded + waiting, upgrade.by_both, readable
        )

    def propose(
        self,
        model: str,
        *,
        sha256: str | None = None,
        anchors: int = ANCHORS,
        listen: Callable[[Progress], None] = quiet,
    ) -> Proposal:
        """Measure what an upgrade would be like; see `glocal.gallery.proposing.propose`."""
        require_embedded(self._now().context.layout)
        return propose(self._now(), model, sha256, listen, anchors=anchors)

    def begin(self, proposal: Proposal) -> None:
        """Let the new model answer from now on; nothing is lost or waits.

        Raises:
            GalleryError: another process has begun an upgrade meanwhile.
            GalleryLockedError: another process begins or ends one right now.
            DiskFullError: too little space; nothing has changed.
        """
        layout, begins = self._now().context.layout, proposal.begins
        require_embedded(layout)
        with locked(layout.folder / "write.lock", f"gallery {layout.folder}", 30):
            layout.require_space()
            self._remember([proposal.old, proposal.new])
            copy_encoder(begins.model, layout.copy_of(proposal.new))
            for name, bridge in begins.bridges.items():
                forth = name == begins.upgrade.queries
                save_bridge(
                    layout.folder / name,
                    bridge,
                    old_space=(proposal.old if forth else proposal.new).space,
                    new_space=(proposal.new if forth else proposal.old).space,
                    anchors=proposal.anchors,
                    glocal_version=__version__,
                    measured=proposal.measured.figures() if proposal.measured else None,
                )
            with self._catalog.change():
                layout.require_current()
                place = layout.store.for_new_local_features()
                write_description(layout.folder, proposal.new, place, begins.upgrade)
        opened = self._now()
        keep = _keep(opened)
        described = [*begins.described.items()]
        for start in range(0, len(described), batches.BATCH):
            page = dict(described[start : start + batches.BATCH])
            with self._catalog.change():
                opened.context.layout.require_current()
                there = self._catalog.contents(page)
                keep({i: each for i, each in page.items() if i in there})

    def _remember(self, models: Sequence[ModelId]) -> None:
        self._catalog.set_state(_LEFT, json.dumps([asdict(model) for model in models]))

    def carry_on(
        self,
        listen: Callable[[Progress], None] = quiet,
        *,
        share: float = 1.0,
        most: int | None = None,
        keep_old: bool = False,
    ) -> UpgradeReport:
        """Encode what is waiting, and finish when nothing is.

        Args:
            listen: told the progress.
            share: of the time that is spent encoding; the rest is left to others.
            most: images that are encoded at most.
            keep_old: do not finish, so that the gallery can still return to the old model.

        Raises:
            GalleryError: no upgrade is under way.
            GalleryLockedError: another process is at it.
            DiskFullError: too little space; what was encoded is kept.
        """
        began = time.monotonic()
        opened = self._now()
        layout, catalog = opened.context.layout, self._catalog
        _under_way(opened)
        with locked(layout.folder / "upgrade.lock", f"the upgrade of gallery {layout.folder}", 0):
            store = _mixed(opened)
            waiting = self._waiting(store)
            total = len(catalog.content_ids())
            before, encoded, tried = total - len(waiting), 0, 0
            describer, keep = opened.changes.describer(), _keep(opened)
            if not _under_way(opened).replaces_local_features:
                describer = replace(describer, detector=None)
            while waiting and (most is None or tried < most):
                some = [i for i in found.take(layout.found) if i in waiting][:_AT_ONCE]
                for i in some:
                    del waiting[i]
                while waiting and len(some) < _AT_ONCE:
                    some.append(waiting.popitem()[0])
                if most is not None:
                    some = some[: most - tried]
                at = before + tried
                started = time.monotonic()
                encoded += complete(
                    catalog,
                    some,
                    describer,
                    keep,
                    self._enough_space(opened),
                    lambda progress, at=at: listen(  # type: ignore[misc]
                        Progress("encode", at + progress.done, total)
                    ),
                )
                tried += len(some)
                store.maintain()
                if share < 1:
                    time.sleep((time.monotonic() - started) * (1 / share - 1))
            left = len(self._waiting(store))
            finished = False
            if not left and not keep_old:
                build_graphs(opened.context, listen)
                finished = self._finish(opened)
        if finished:
            sweep_left(self._now())
        return UpgradeReport(encoded, left, finished, time.monotonic() - began)

    def _waiting(self, store: MixedStore) -> dict[UUID, None]:
        """Images that the new space lacks, in the order in which `popitem` takes them: the latest
        files first.
        """
        rows = self._catalog.rows(
            "SELECT id FROM contents LEFT JOIN files ON content = id WHERE id NOT IN "
            "(SELECT content FROM rows WHERE space = ?) "
            "GROUP BY id ORDER BY MAX(COALESCE(changed, modified)), id",
            (store.new.rows.space,),
        )
        return {UUID(bytes=i): None for (i,) in rows}

    def _enough_space(self, opened: Opened) -> Callable[[], None]:
        require = opened.changes.require()

        def check() -> None:
            require()
            opened.context.layout.require_space()

        return check

    def _finish(self, opened: Opened) -> bool:
        """Name the new model alone, if it has encoded everything at this moment."""
        layout, upgrade, store = opened.context.layout, _under_way(opened), _mixed(opened)
        opened.models.note_detector(upgrade.detector)  # counts only from then on
        opened.context.regions.note(upgrade.regions)
        with self._catalog.change():
            layout.require_current()
            missing, _, _ = differences(self._catalog, store.new)
            if missing:
                return False
            self._agree(store.new)
            if isinstance(regions := opened.context.regions.store, MixedRegions):
                self._agree(regions.new)
            write_description(layout.folder, layout.model, layout.store)
        return True

    def _agree(self, store: FlatStore | RegionStore) -> None:
        """Make a store agree with the catalogue, whatever older versions have done beside it."""
        _, stray, misplaced = differences(self._catalog, store)
        store.delete(stray)
        store.set_folders(misplaced)

    def back(self, listen: Callable[[Progress], None] = quiet) -> int:
        """Return to the old model.

        Returns:
            How many images have lost the local features of the old detector and have to be given
            them again: `Gallery.add_local_features`.

        Raises:
            GalleryError: no upgrade is under way: once it is finished the old vectors are gone.
            ModelError: the gallery's copy of the old model is gone or damaged.
            GalleryLockedError: another process is encoding.
        """
        opened = self._now()
        layout, upgrade = opened.context.layout, _under_way(opened)
        with locked(layout.folder / "upgrade.lock", f"the upgrade of gallery {layout.folder}", 0):
            store, catalog = _mixed(opened), self._catalog
            encoder = opened.models.old_encoder(side_by_side=True)
            settings = region_settings(upgrade.old_regions)
            old_rows = RowTable(catalog, upgrade.old.space)
            old = FlatStore(layout.vectors, upgrade.old.dim, old_rows, layout.store.coding)
            regions = None
            if settings is not None:
                regions = region_store(layout, upgrade.old, settings, catalog)
            describer = Describer(
                encoder, None, opened.context.limits, settings if encoder.gives_regions else None
            )
            added, _, _ = differences(catalog, old)
            complete(
                catalog,
                added,
                describer,
                _keep_vectors(catalog, old, regions),
                self._enough_space(opened),
                listen,
            )
            replaced = 0
            with catalog.change() as db:
                layout.require_current()
                self._agree(old)
                if regions is not None:
                    self._agree(regions)
                if upgrade.replaces_local_features:
                    replaced = db.execute(
                        "DELETE FROM local_features WHERE content IN "
                        "(SELECT content FROM rows WHERE space = ?)",
                        (store.new.rows.space,),
                    ).rowcount
                # Images that are in neither space are read again by the next index run.
                catalog.drop_contents(differences(catalog, old)[0])
                store.new.clear()
                if isinstance(both := opened.context.regions.store, MixedRegions):
                    both.new.clear()
            opened.models.note_detector(upgrade.old_detector)
            opened.context.regions.note(upgrade.old_regions)
            with catalog.change():
                layout.require_current()
                write_description(layout.folder, upgrade.old, layout.store)
        sweep_left(self._now())
        return replaced


def sweep_left(opened: Opened) -> None:
    """Remove what is left of a space that the gallery has left, and its files.

    Safe at any moment: what ``gallery.json`` names is not touched, and while another process begins
    or ends an upgrade nothing is.
    """
    layout, catalog = opened.context.layout, opened.context.catalog
    left = catalog.get_state(_LEFT)
    if not left or catalog.read_only:
        return
    with (
        suppress(GalleryLockedError),
        locked(layout.folder / "write.lock", f"gallery {layout.folder}", 0),
    ):
        described = read_description(layout.folder)
        if "upgrade" in described or catalog.get_state(_LEFT) != left:
            return
        for model in (ModelId(**each) for each in json.loads(left)):
            if model.space == described["model"]["space"]:
                continue
            for store in _stores(layout, model, catalog):
                store.clear()
                store.sweep()
                store.close()
            for file in (layout.copy_of(model), twin_path(layout.copy_of(model))):
                file.unlink(missing_ok=True)
        for path in (*layout.folder.glob("*.bridge"), layout.found):
            path.unlink(missing_ok=True)
        catalog.set_state(_LEFT, "")


def _stores(layout: Layout, model: ModelId, catalog: Catalog) -> list[FlatStore | RegionStore]:
    """Everything that a model's vectors may lie in."""
    stores: list[FlatStore | RegionStore] = [
        FlatStore(layout.vectors, model.dim, RowTable(catalog, model.space), layout.store.coding)
    ]
    every = map(region_settings, REGION_CHOICES)
    stores += [region_store(layout, model, s, catalog) for s in every if s is not None]
    return stores


def _under_way(opened: Opened) -> UnderWay:
    upgrade = opened.context.layout.upgrade
    if upgrade is None:
        raise GalleryError(
            f"no upgrade of gallery {opened.context.layout.folder} is under way; begin one with "
            "the new model: glocal upgrade --model MODEL"
        )
    return upgrade


def _mixed(opened: Opened) -> MixedStore:
    store = opened.context.store
    assert isinstance(store, MixedStore)  # noqa: S101 - as an upgrade is under way
    return store


def _keep(opened: Opened) -> Keep:
    """What keeps images that the new model has encoded; inside a change."""
    catalog, store, upgrade = opened.context.catalog, _mixed(opened), _under_way(opened)
    regions = opened.context.regions.store
    vectors = _keep_vectors(
        catalog, store.new, regions.new if isinstance(regions, MixedRegions) else None
    )

    keep_local = keep_local_features(catalog, opened.context.layout.store.descriptors)

    def keep(described: dict[UUID, Description]) -> None:
        _, there = store.new.rows.find(described)
        fresh = {i: each for i, each in described.items() if i not in there}
        vectors(fresh)
        if upgrade.replaces_local_features:
            keep_local(fresh)

    return keep


def _keep_vectors(catalog: Catalog, store: FlatStore, regions: RegionStore | None) -> Keep:
    """What keeps vectors and regions."""

    def keep(described: dict[UUID, Description]) -> None:
        folders = catalog.folders_of(described)
        store.upsert(
            [
                Record(i, d.features.vector, d.content.attributes(folders.get(i, ())))
                for i, d in described.items()
            ]
        )
        if regions is not None:
            with_regions = {i: d for i, d in described.items() if len(d.features.regions)}
            keep_regions(catalog, regions)(with_regions)

    return keep
