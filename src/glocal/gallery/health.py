"""Whether a gallery is sound, and mending it."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import numpy as np

from glocal.errors import GalleryDamagedError, ImageError
from glocal.gallery.catalog import Catalog
from glocal.gallery.context import Context
from glocal.gallery.database import ALL
from glocal.gallery.describing import content_id
from glocal.gallery.stores.base import Maintained, Store
from glocal.gallery.stores.mixed import MixedRegions, parts
from glocal.gallery.stores.regions import RegionStore
from glocal.gallery.walk import single_file
from glocal.gallery.words import Words
from glocal.images import Limits, read_bytes

_PAGE = 1_000
_TIE = 2e-3  # float16 rounding of a vector against itself, with room


@dataclass(frozen=True, slots=True)
class Health:
    """What a check found; `sound` when nothing is wrong with the gallery itself.

    Attributes:
        images: contents in the catalogue.
        without_vector: contents whose vector is missing from the store.
        stray_vectors: vectors that no content names (`--repair` removes them).
        misplaced: images whose folders in the store differ from the catalogue's.
        damaged: images whose vector is not what was written.
        wrong_regions: images whose regions are damaged, filed under wrong folders, or there though
            the image is not.
        wrong_words: images whose words in the index are not those of the catalogue.
        not_found: images, of those tried, whose own vector does not find them.
        tried: how many were tried.
        recall: share of the exact ten nearest that the graph index finds, over a sample;
            `None` when no graph is used yet.
        missing_files: files that are gone from disk (a later index run removes them).
        changed_files: files that differ from what was indexed (a later run reads them).
        model_problem: why the gallery's model cannot be used, or `None`.
        catalog_problems: what SQLite says is wrong.
        bytes_free: space left on the gallery's disk.
        truncated_files: files that were cut off; the gallery has what could be decoded of them.
    """

    images: int
    without_vector: tuple[UUID, ...]
    stray_vectors: tuple[UUID, ...]
    misplaced: tuple[UUID, ...]
    damaged: tuple[UUID, ...]
    wrong_regions: tuple[UUID, ...]
    wrong_words: tuple[UUID, ...]
    not_found: tuple[UUID, ...]
    tried: int
    recall: float | None
    missing_files: tuple[Path, ...]
    changed_files: tuple[Path, ...]
    model_problem: str | None
    catalog_problems: tuple[str, ...]
    bytes_free: int
    truncated_files: tuple[Path, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether the gallery contradicts itself nowhere; changed files are no fault of it."""
        return not self.faults()

    def faults(self) -> list[str]:
        """What is wrong, in words."""
        said = [
            (self.without_vector, "images have no vector"),
            (self.stray_vectors, "vectors belong to no image"),
            (self.misplaced, "images are filed under wrong folders"),
            (self.damaged, "images have vectors that were damaged on the disk"),
            (self.wrong_regions, "images have regions that are damaged or misplaced"),
            (self.wrong_words, "images are not found by their words"),
            (self.not_found, "images are not found by their own vector"),
        ]
        faults = [f"{len(which)} {what}" for which, what in said if which]
        if self.model_problem:
            faults.append(self.model_problem)
        if self.recall is not None and self.recall < 0.95:
            faults.append(f"the graph index finds only {self.recall:.1%} of the nearest")
        return faults + list(self.catalog_problems)


def differences(
    catalog: Catalog, store: Store | RegionStore | MixedRegions
) -> tuple[list[UUID], list[UUID], dict[UUID, tuple[int, ...]]]:
    """Compare catalogue and store.

    Returns:
        contents without a vector, vectors without a content, and the right folders of contents
        that the store files wrongly.
    """
    missing = catalog.content_ids()
    waiting = set(catalog.lost(ALL))  # their folders are set right by the next run
    stray: list[UUID] = []
    misplaced: dict[UUID, tuple[int, ...]] = {}
    page: dict[UUID, tuple[int, ...]] = {}

    def compare() -> None:
        right = catalog.folders_of(page)
        misplaced.update(
            {
                i: right.get(i, ())
                for i, f in page.items()
                if i not in waiting and tuple(sorted(f)) != right.get(i, ())
            }
        )
        page.clear()

    for i, folders in store.scan():
        if i in missing:
            missing.remove(i)
            page[i] = folders
            if len(page) >= _PAGE:
                compare()
        else:
            stray.append(i)
    compare()
    return sorted(missing), stray, misplaced


def reconcile(context: Context) -> list[UUID]:
    """Make catalogue and stores agree.

    Images whose vector was lost or damaged leave the catalogue, so that the next run reads them
    again.

    Returns:
        Images that have lost their regions.
    """
    catalog, store = context.catalog, context.store
    damaged = store.damaged() if isinstance(store, Maintained) else []
    with catalog.change():
        catalog.drop_contents(catalog.unreferenced())
        missing, stray, misplaced = differences(catalog, store)
        catalog.drop_contents([*missing, *damaged])
        store.delete([*stray, *damaged])
        store.set_folders(misplaced)
    if damaged and isinstance(store, Maintained):
        store.rewrite()
    with Words(catalog) as words:
        if words.there:
            words.rebuild()
    return _reconcile_regions(catalog, context.regions.store)


def _reconcile_regions(catalog: Catalog, regions: RegionStore | MixedRegions | None) -> list[UUID]:
    if regions is None:
        return []
    damaged = regions.damaged()
    with catalog.change():
        _, stray, misplaced = differences(catalog, regions)
        regions.delete([*stray, *damaged])
        regions.set_folders(misplaced)
    if damaged:
        regions.rewrite()
    return damaged


def _wrong_regions(catalog: Catalog, regions: RegionStore | MixedRegions | None) -> list[UUID]:
    if regions is None:
        return []
    _, stray, misplaced = differences(catalog, regions)
    return sorted({*regions.damaged(), *stray, *misplaced})


def _wrong_words(catalog: Catalog) -> list[UUID]:
    with Words(catalog) as words:
        return words.differences() if words.there else []


def examine(
    context: Context, *, sample: int | None, model_problem: str | None, read_files: bool = False
) -> Health:
    """Check a gallery; costs about a millisecond for each image tried and a look at each file.

    Args:
        context: of the gallery.
        sample: how many images are searched by their own vector; `None`: all.
        model_problem: why its model cannot be used, if so.
        read_files: whether every file is read to see that it holds what was indexed.
    """
    catalog, store = context.catalog, context.store
    damaged = store.damaged() if isinstance(store, Maintained) else []
    missing, stray, misplaced = differences(catalog, store)
    there = sorted(catalog.content_ids() - set(missing))
    tried = there if sample is None else _some(there, sample)
    recall = None
    try:
        # Each space by itself: through a bridge no vector finds itself exactly.
        each = parts(store)
        not_found = [i for one in each for page in _pages(tried) for i in _lost(one, page)]
        if any(one.status().in_graph for one in each):
            sample_ids = _some(there, 200)
            recall = min(_recall(one, sample_ids) for one in each)
    except GalleryDamagedError:  # too short to be searched; what is missing is in `damaged`
        tried, not_found = [], []
    gone, changed = _compare_files(catalog, context.limits, read_files)
    return Health(
        images=len(there) + len(missing),
        without_vector=tuple(missing),
        stray_vectors=tuple(stray),
        misplaced=tuple(misplaced),
        damaged=tuple(damaged),
        wrong_regions=tuple(_wrong_regions(catalog, context.regions.store)),
        wrong_words=tuple(_wrong_words(catalog)),
        not_found=tuple(not_found),
        tried=len(tried),
        recall=recall,
        missing_files=tuple(gone),
        changed_files=tuple(changed),
        model_problem=model_problem,
        catalog_problems=tuple(catalog.problems()),
        bytes_free=context.layout.free_bytes(),
        truncated_files=tuple(
            path for files in catalog.files_of(catalog.truncated()).values() for _, path in files
        ),
    )


def _compare_files(
    catalog: Catalog, limits: Limits, read_files: bool
) -> tuple[list[Path], list[Path]]:
    """The files that are gone, and those that hold something else than when they were indexed.

    A file whose times say that something about it has changed is read where these alone do not
    say that it was its content.
    """
    gone, changed = [], []
    for path, state in catalog.all_files():
        found = single_file(path).files
        if not found:
            gone.append(path)
            continue
        if (found[0].size, found[0].modified) != (state.size, state.modified):
            changed.append(path)
        elif read_files or state.changed not in (None, found[0].changed):
            try:
                same = content_id(read_bytes(path, limits)) == state.content
            except ImageError:
                same = False
            if not same:
                changed.append(path)
    return gone, changed


def _some(ids: list[UUID], count: int) -> list[UUID]:
    chosen = random.Random(0)  # noqa: S311 - a sample that two checks share
    return ids if len(ids) <= count else chosen.sample(ids, count)


def _pages(ids: list[UUID]) -> list[list[UUID]]:
    return [ids[start : start + _PAGE] for start in range(0, len(ids), _PAGE)]


def _lost(store: Store, ids: list[UUID]) -> list[UUID]:
    """Those whose vector, as a query, does not find them, nor a twin that scores as high."""
    lost = []
    for i, vector in store.vectors(ids).items():
        best = store.search(vector, 1)
        itself = float(np.dot(vector, vector))
        if not best or (best[0].id != i and best[0].score < itself - _TIE):
            lost.append(i)
    return lost


def _recall(store: Store, ids: list[UUID]) -> float:
    shares = []
    for vector in store.vectors(ids).values():
        exact = store.search(vector, 10, exact=True)
        found = {match.id for match in store.search(vector, 10)}
        shares.append(sum(match.id in found for match in exact) / len(exact))
    return float(np.mean(shares)) if shares else 1.0
