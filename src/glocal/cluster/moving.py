"""Moving a gallery into a cluster, and back into its folder; nothing is encoded again.

Both ways vectors are copied while the gallery stays in use, and what was copied when a run is
stopped counts for the next one. Then, inside a transaction of the catalogue that keeps all writers
out, the copy is made to agree with the catalogue and is compared with the original, and
``gallery.json`` names it: replacing that one file is the only step at which anything changes for
anybody. The original goes afterwards. Where the catalogue moves too, it follows the vectors into
the cluster, and goes before them on the way back (`glocal.cluster.moving_catalogue`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import UUID

import numpy as np

from glocal.cluster import moving_catalogue
from glocal.cluster.arriving import ArrivingStore, Spool
from glocal.cluster.catalogued import CataloguedStore, NotedWrites
from glocal.cluster.config import ClusterConfig
from glocal.cluster.milvus import Milvus, keep_config, new_collection, require_server
from glocal.cluster.store import MilvusStore
from glocal.errors import GalleryDamagedError, GalleryError
from glocal.gallery import Gallery
from glocal.gallery.catalog import Catalog
from glocal.gallery.context import Context
from glocal.gallery.health import differences
from glocal.gallery.indexing import build_graphs
from glocal.gallery.layout import (
    Layout,
    require_settled,
    write_description,
)
from glocal.gallery.locks import locked
from glocal.gallery.opened import store_of
from glocal.gallery.progress import Progress, quiet
from glocal.gallery.records import Match, Record
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.base import Store
from glocal.gallery.stores.flat import FlatStore

_BESIDE = "collection beside"
"""State: a collection to or from which a move is not finished."""

_PAGE = 1_000
_COMPARED = 30  # images searched for in both places
_COMPARED_ROWS = 5  # where it is only the catalogue that moves, each row of which is compared
_DEPTH = 10
_TOLERANCE = 1e-3
_PAUSE = 0.1  # seconds

Listen = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class MoveReport:
    """What a move did.

    Attributes:
        vectors: how many there are now where they were moved to.
        copied: in this run.
        compared: searches whose hits were the same in both places.
        seconds: duration of the run.
        rows: of the catalogue, where it moved in this run.
    """

    vectors: int
    copied: int
    compared: int
    seconds: float
    rows: int = 0


def to_cluster(gallery: Gallery, config: Path, listen: Listen = quiet) -> MoveReport:
    """Move a gallery into a cluster: its vectors, and its catalogue where the file says so.

    Args:
        gallery: any process may use it meanwhile. What is in the cluster already stays there.
        config: the file that says where the cluster is.
        listen: told the progress, in vectors and then in rows of the catalogue.

    Raises:
        GalleryError: it is there already, an upgrade is under way, or the file names another
            cluster than that of its vectors, or no place for a catalogue that has one.
        GalleryDamagedError: the copy is not the same as the original; nothing has changed.
        GalleryLockedError: another process moves it.
        StoreUnavailableError: the cluster does not answer; what was copied counts next time.
    """
    began = time.monotonic()
    said = ClusterConfig.read(config)
    with _moving(gallery):
        layout = gallery.opened().context.layout  # of this moment, in which nobody else moves it
        require_settled(layout)
        there, catalogue = layout.store.elsewhere, bool(layout.store.catalogue)
        follows = bool(said.catalogue.uri) and not catalogue
        if there:
            _require_same_cluster(layout, said)
        if catalogue:
            moving_catalogue.empty(layout)  # after a run that was stopped when it was done
        else:
            moving_catalogue.drop_left(layout, gallery.opened().context.catalog)
        if there and not follows:
            raise GalleryError(f"gallery {layout.folder} is in a cluster already")
        if follows:  # before work that would be in vain
            require_server(said)
            keep_config(layout.folder, config)
            moving_catalogue.begin(gallery.opened().context.catalog, config)
        copied = compared = rows = 0
        if not there:
            copied, compared = _vectors_there(gallery.opened().context, config, listen)
        if follows:
            comparing = _Comparing(gallery.opened().context)
            rows = moving_catalogue.to_server(comparing.context, config, comparing, listen)
            compared += comparing.searches
    count = gallery.opened().context.store.status().vectors
    return MoveReport(count, copied, compared, time.monotonic() - began, rows)


def _require_same_cluster(layout: Layout, said: ClusterConfig) -> None:
    known = ClusterConfig.read(layout.cluster)
    if (said.uri, said.database) != (known.uri, known.database):
        raise GalleryError(
            f"the vectors of gallery {layout.folder} are in the cluster at {known.uri}, and the "
            f"file names {said.uri}; name the same, or move the gallery back first: glocal move "
            f"{layout.folder} --back"
        )


def _vectors_there(context: Context, config: Path, listen: Listen) -> tuple[int, int]:
    """Move vectors into a cluster; how many were copied, and how many searches were compared."""
    layout, catalog, source = context.layout, context.catalog, context.store
    if not isinstance(source, FlatStore):
        raise GalleryError(f"gallery {layout.folder} was changed by another process; try again")
    said = ClusterConfig.read(config)
    if NotedWrites(catalog, catalog.get_state(_BESIDE) or "").left():
        _drop_beside(layout, catalog)  # of a move back that was stopped when it was done
    collection = catalog.get_state(_BESIDE) or new_collection(said)
    place = replace(layout.store, kind="milvus", collection=collection)
    if place.catalogue:
        Milvus.place(layout.folder, config, place)
    else:  # also where the file names a catalogue, which follows
        require_server(said)
        keep_config(layout.folder, config)
    catalog.set_state(_BESIDE, collection)
    rows = RowTable(catalog, layout.model.space)
    opened = Milvus.open(
        layout.cluster, collection, layout.model.dim, catalog, rows, layout.store.coding
    )
    with closing(opened):
        target = opened.vectors_there
        target.expected = source.status().vectors
        copied = _copy(catalog, source, target, listen)
        with catalog.change() as db:
            layout.require_current()
            missing, stray, misplaced = differences(catalog, target)
            copied += sum(_copied(catalog, source, target, page) for page in _pages(missing))
            target.delete(stray)
            target.set_folders(misplaced)
            compared = _compare(catalog, source, target, source.status().vectors)
            db.execute("DELETE FROM cluster_deleted")
            write_description(layout.folder, layout.model, place)
    _remove_files(layout, source)
    catalog.set_state(_BESIDE, "")
    return copied, compared


class _Comparing:
    """Compares what the copy of a catalogue finds with what the original does.

    Args:
        context: of the gallery, with the original.
    """

    def __init__(self, context: Context) -> None:
        self.context = context
        self.searches = 0

    def __call__(self, copied: Catalog) -> None:
        """See `glocal.cluster.moving_catalogue.Compare`."""
        layout, source = self.context.layout, self.context.store
        with closing(store_of(layout, copied, RowTable(copied, layout.model.space))) as store:
            count = source.status().vectors
            self.searches = _compare(self.context.catalog, source, store, count, _COMPARED_ROWS)


def to_folder(gallery: Gallery, listen: Listen = quiet) -> MoveReport:
    """Move the catalogue and the vectors of a gallery from a cluster back into its folder.

    Args:
        gallery: any process may use it meanwhile.
        listen: told the progress.

    Raises:
        GalleryError: they are there, and nothing is left in a cluster; or an upgrade is under way.
        GalleryDamagedError: the cluster has lost vectors, or the copy is not the same as the
            original; nothing has changed.
        GalleryLockedError: another process moves it.
        DiskFullError: there is no space for them; nothing has changed.
        StoreUnavailableError: the cluster does not answer; what was copied counts next time.
    """
    began = time.monotonic()
    copied = compared = rows = 0
    with _moving(gallery):
        layout = gallery.opened().context.layout
        require_settled(layout)
        if layout.store.catalogue:
            comparing = _Comparing(gallery.opened().context)
            rows = moving_catalogue.to_file(comparing.context, comparing, listen)
            compared = comparing.searches
        context = gallery.opened().context
        left = moving_catalogue.drop_left(context.layout, context.catalog, begun=True)
        if isinstance(context.store, CataloguedStore):
            copied, searches = _vectors_back(context, context.store, listen)
            compared += searches
        elif left or context.catalog.get_state(_BESIDE):
            _drop_beside(context.layout, context.catalog)
        else:
            raise GalleryError(f"gallery {layout.folder} is in its folder already")
    context = gallery.opened().context
    build_graphs(context, listen)
    count = context.store.status().vectors
    return MoveReport(count, copied, compared, time.monotonic() - began, rows)


def _vectors_back(context: Context, source: CataloguedStore, listen: Listen) -> tuple[int, int]:
    """Move vectors into the folder; how many were copied, and how many searches were compared."""
    layout, catalog = context.layout, context.catalog
    source.maintain()
    # By itself: a run that is killed once gallery.json is written has committed nothing more.
    catalog.set_state(_BESIDE, layout.store.collection)
    layout.vectors.mkdir(exist_ok=True)
    spool = Spool(layout.vectors / "arriving", layout.model.dim)
    copied = _fill(spool, source, listen)
    rows = RowTable(catalog, layout.model.space)
    place = replace(layout.store, kind="flat", collection="")
    flat = ArrivingStore(layout.vectors, layout.model.dim, rows, place.coding, spool, source)
    with closing(flat):
        while True:
            layout.require_space()
            flat.rewrite()  # unless another process builds a graph just now
            with catalog.change():
                layout.require_current()
                if flat.damaged():
                    time.sleep(_PAUSE)  # others have changed the gallery since: once more
                    continue
                compared = _compare(catalog, source, flat, flat.status().vectors)
                NotedWrites(catalog, layout.store.collection).leave()
                write_description(layout.folder, layout.model, place)
                break
    spool.remove()
    _drop_beside(layout, catalog)
    return copied, compared


def _moving(gallery: Gallery) -> AbstractContextManager[None]:
    return locked(gallery.folder / "move.lock", f"the move of gallery {gallery.folder}", 0)


def _copy(catalog: Catalog, source: Store, target: MilvusStore, listen: Listen) -> int:
    """Copy what is not there yet."""
    there = {i for i, _ in target.scan()}
    waiting = [i for i, _ in source.scan() if i not in there]
    total = len(there) + len(waiting)
    copied = 0
    for page in _pages(waiting):
        copied += _copied(catalog, source, target, page)
        listen(Progress("move", len(there) + copied, total))
    return copied


def _copied(catalog: Catalog, source: Store, target: MilvusStore, page: Sequence[UUID]) -> int:
    contents, folders = catalog.contents(page), catalog.folders_of(page)
    records = [
        Record(i, vector, contents[i].attributes(folders.get(i, ())))
        for i, vector in source.vectors(page).items()
        if i in contents
    ]
    target.upsert(records)
    return len(records)


def _fill(spool: Spool, source: CataloguedStore, listen: Listen) -> int:
    there = spool.ids()
    view = source.rows.view()
    every = (view.id(row) for row in np.flatnonzero(view.live).tolist())
    waiting = [i for i in every if i not in there]
    copied = 0
    for page in _pages(waiting):
        spool.append(source.vectors(page))
        copied += len(page)
        listen(Progress("move", len(there) + copied, len(there) + len(waiting)))
    return copied


def _pages(ids: Sequence[UUID]) -> Iterator[Sequence[UUID]]:
    return (ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE))


def _compare(
    catalog: Catalog, source: Store, target: Store, count: int, most: int = _COMPARED
) -> int:
    """How many images find the same in both places.

    Raises:
        GalleryDamagedError: there are too few vectors, or an image does not.
    """
    there = target.status().vectors
    if there != count:
        raise GalleryDamagedError(
            f"{there} of {count} vectors have arrived; nothing was changed: repair the gallery "
            "(glocal check --repair) and run the same command again"
        )
    ids = sorted(catalog.content_ids())
    chosen = random.Random(0).sample(ids, min(most, len(ids)))  # noqa: S311 - a sample
    for i, vector in source.vectors(chosen).items():
        one = source.search(vector, _DEPTH, exact=True)
        other = target.search(vector, _DEPTH, exact=True)
        if not same_matches(one, other):
            raise GalleryDamagedError(
                f"image {i.hex} finds others where the vectors were moved to; nothing was "
                "changed: check the gallery: glocal check"
            )
    return len(chosen)


def same_matches(one: Sequence[Match], other: Sequence[Match]) -> bool:
    """Whether two searches found the same, but for the order of equal scores and for rounding."""
    if len(one) != len(other):
        return False
    if not one:
        return True
    last = max(one[-1].score, other[-1].score) + _TOLERANCE
    scores = {match.id: match.score for match in other}
    near = all(
        abs(mine.score - yours.score) <= _TOLERANCE for mine, yours in zip(one, other, strict=True)
    )
    return near and all(match.id in scores or match.score <= last for match in one)


def _remove_files(layout: Layout, source: FlatStore) -> None:
    """Delete the vectors in the folder, and their graph; their rows stay in the catalogue."""
    database = source.rows.database
    with database.change() as db:
        db.execute("DELETE FROM graphs WHERE space = ?", (source.rows.space,))
    for path in layout.vectors.glob("*"):
        if path.name.startswith(f"{source.stem}."):
            path.unlink(missing_ok=True)


def _drop_beside(layout: Layout, catalog: Catalog) -> None:
    """Remove the collection that the gallery has left, and what it knew of the cluster."""
    collection = catalog.get_state(_BESIDE)
    if collection and layout.cluster.exists():
        rows = RowTable(catalog, layout.model.space)
        opened = Milvus.open(
            layout.cluster, collection, layout.model.dim, catalog, rows, layout.store.coding
        )
        with closing(opened):
            if opened.vectors_there.exists():
                opened.vectors_there.drop()
    with catalog.change() as db:
        if catalog.has_table("cluster_deleted"):
            db.execute("DELETE FROM cluster_deleted")
        catalog.set_state(_BESIDE, "")
    if not layout.store.catalogue:  # where it is, the file says
        layout.cluster.unlink(missing_ok=True)
