"""The groups of duplicates of a gallery: from ties between its images to files that stay or go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from glocal.gallery.catalog import Catalog
from glocal.gallery.comparing import Comparing
from glocal.gallery.duplicates import Level, clusters, components
from glocal.gallery.grouping import Grouper
from glocal.gallery.originals import Fact, Originals
from glocal.gallery.outcomes import Outcomes, Pair
from glocal.gallery.progress import Progress
from glocal.gallery.results import DuplicateGroup, Duplicates
from glocal.gallery.same_files import Disk
from glocal.gallery.stores.base import Store
from glocal.gallery.thumbnails import Thumbnails
from glocal.images import Limits
from glocal.ranking.calibration import Calibration
from glocal.ranking.evidence import Evidence
from glocal.ranking.pixels import Comparison


def identical_groups(
    catalog: Catalog, limits: Limits, contents: Sequence[UUID], prefer: Sequence[Path] = ()
) -> list[DuplicateGroup]:
    """The files of images that several files hold, one group for each image.

    Images of which less than two files are left are passed over.
    """
    disk = Disk(catalog)
    known = catalog.contents(contents)
    originals = Originals(catalog, disk, limits)
    grouper = Grouper({}, {}, known, disk.holders(known), disk, originals, prefer)
    found = (grouper.group([content]) for content in contents if content in grouper.holders)
    return [group for group in found if group is not None]


def find_duplicates(
    catalog: Catalog,
    store: Store,
    calibration: Calibration | None,
    level: Level,
    listen: Callable[[Progress], None],
    limits: Limits,
    outcomes: Outcomes,
    *,
    prefer: Sequence[Path] = (),
    apart: frozenset[Pair] = frozenset(),
    chosen: frozenset[UUID] = frozenset(),
    among: Sequence[Sequence[UUID]] | None = None,
) -> Duplicates:
    """See `Gallery.duplicates`; without a calibration only identical files are found.

    Args:
        catalog: the gallery's.
        store: the gallery's.
        calibration: of the gallery's detector.
        level: which ties count.
        listen: told the progress.
        limits: of what is read.
        outcomes: of earlier runs.
        prefer: folders whose files are rather kept.
        apart: pairs of images that are no duplicates, the smaller id first.
        chosen: images that stay.
        among: groups that were found before; only their images, each with those of its group, are
            compared. `None`: all.
    """
    disk = Disk(catalog)
    known: dict[Fact, Any] = {}
    originals = Originals(catalog, disk, limits, known)
    ties: dict[UUID, dict[UUID, Evidence]] = {}
    comparisons: dict[Pair, Comparison] = {}
    if calibration is not None:
        small = Thumbnails(catalog, limits)
        comparing = Comparing(
            catalog, store, calibration, level, listen, small, originals, outcomes, apart
        )
        comparing.find(among)
        ties, comparisons = comparing.ties, comparing.comparisons
    wanted = None if among is None else {i for group in among for i in group}
    copied = [i for i in catalog.copied_ids() if wanted is None or i in wanted]
    contents = catalog.contents([*ties, *copied])
    known.update(outcomes.facts(ties))
    holders = disk.holders(contents)
    separate = _both_ways(apart)
    grouper = Grouper(
        ties, comparisons, contents, holders, disk, originals, prefer, chosen, separate
    )
    present = {i for i, held in holders.items() if held.files}  # some may be gone meanwhile
    ranks = {i: grouper.rank(i) for i in present if i in ties}
    tied = {i: [other for other in ties[i] if other in ranks] for i in ranks}
    pairs = ((i, other) for i, others in tied.items() for other in others)
    grouped: list[list[UUID]] = []
    for component in components(pairs):
        grouped += clusters(component, tied, ranks.__getitem__, separate)
    taken = {i for group in grouped for i in group}
    grouped += [[i] for i in copied if i in present - taken and len(holders[i].files) > 1]
    groups = [group for members in grouped if (group := grouper.group(members)) is not None]
    groups.sort(key=lambda group: (-group.bytes_to_free, group.kept))
    outcomes.remember(originals.learned)
    changed = sorted({path for held in holders.values() for path in held.changed})
    links = sorted({path for held in holders.values() for path in held.links})
    return Duplicates(groups, tuple(changed), tuple(links))


def _both_ways(pairs: Iterable[Pair]) -> dict[UUID, frozenset[UUID]]:
    """For each image of some pairs, its partners."""
    found: dict[UUID, set[UUID]] = {}
    for one, other in pairs:
        found.setdefault(one, set()).add(other)
        found.setdefault(other, set()).add(one)
    return {i: frozenset(others) for i, others in found.items()}
