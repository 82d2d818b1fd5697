"""What an upgrade would gain, cost and lose, measured on the gallery's own images before it begins.

Some images, drawn at random, are encoded by the new model. A bridge is fitted to both vectors of
each, and measured on a part of them that it has not seen. Nothing is changed; where the upgrade is
then begun, these images are its first.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import numpy as np

from glocal.encoders import NO_REGIONS, OWN, EncoderDetector, OnnxEncoder, open_detector
from glocal.encoders.model_files import find_model
from glocal.encoders.regions import region_settings
from glocal.errors import DiskFullError, QueryError
from glocal.gallery.ahead import worker_count
from glocal.gallery.bridge_trial import BridgeTrial, try_bridges
from glocal.gallery.completing import describe_again
from glocal.gallery.describing import Describer, Description
from glocal.gallery.layout import RESERVE, require_settled
from glocal.gallery.model_id import ModelId
from glocal.gallery.opened import Opened
from glocal.gallery.progress import Progress
from glocal.gallery.stores.upkeep import GRAPH_FROM
from glocal.gallery.under_way import UnderWay
from glocal.ranking.calibration import calibration_for
from glocal.upgrade import Bridge, BridgeMeasurement
from glocal.upgrade.measure import MARGIN

ANCHORS = 2_000
"""Images that both models encode, to fit the bridge and to measure it."""

_ROW_BYTES = 120  # of the catalogue, for each row


@dataclass(frozen=True, slots=True, eq=False)
class Proposal:
    """An upgrade that can be begun.

    Attributes:
        old: the gallery's model.
        new: the one that it would have.
        images: that are to be encoded.
        anchors: how many of them were encoded already, to measure.
        measured: what a query finds through the bridge; `None` where there were too few images.
        by_both: whether queries would be encoded by both models until the end, since the bridge is
            worse than that, or there is none.
        seconds: that it takes to encode the rest at the speed of the anchors.
        bytes_needed: of disk, until the old vectors go.
        bytes_free: of disk.
        gains: what speaks for it, in words.
        against: what speaks against it, in words.
    """

    old: ModelId
    new: ModelId
    images: int
    anchors: int
    measured: BridgeMeasurement | None
    by_both: bool
    seconds: float
    bytes_needed: int
    bytes_free: int
    gains: tuple[str, ...]
    against: tuple[str, ...]
    begins: Begins = field(repr=False)


@dataclass(frozen=True, slots=True, eq=False)
class Begins:
    """What an upgrade begins with.

    Attributes:
        model: the new model's file.
        upgrade: as it is written into the gallery.
        bridges: the bridges that it names, by the names of their files.
        described: what the new model has encoded.
    """

    model: Path
    upgrade: UnderWay
    bridges: dict[str, Bridge]
    described: dict[UUID, Description]


def propose(
    opened: Opened,
    model: str,
    sha256: str | None,
    listen: Callable[[Progress], None],
    *,
    anchors: int = ANCHORS,
    seed: int = 0,
) -> Proposal:
    """Measure what an upgrade would be like; nothing is changed.

    Args:
        opened: the gallery.
        model: name, path or hub name of the new model.
        sha256: what its file's hash must be.
        listen: told the progress.
        anchors: how many images are encoded.
        seed: of their choice.

    Raises:
        GalleryError: an upgrade is under way.
        ModelError: the model cannot be found or run.
        QueryError: it is the gallery's model, or one of its space.
        DiskFullError: there is too little space.
    """
    layout, catalog = opened.context.layout, opened.context.catalog
    require_settled(layout)
    path = find_model(model, sha256)
    new, old = ModelId.of(path), layout.model
    if new.space == old.space:
        raise QueryError(
            f"{new} makes vectors of the same space as {old}, the gallery's model; to use it, name "
            "it when you search: --model"
        )
    workers = worker_count()
    encoder = OnnxEncoder(path, threads=1, sessions=workers)
    old_detector = opened.models.detector_name
    detector = _detector(old_detector, opened.models.encoder(), encoder)
    settings = opened.context.regions.settings if encoder.gives_regions else None
    replaces = old_detector == OWN or detector != old_detector
    describer = Describer(
        encoder,
        open_detector(detector, encoder) if replaces and detector != OWN else None,
        opened.context.limits,
        settings,
    )
    ids = sorted(catalog.content_ids())
    images = len(ids)
    chosen = random.Random(seed).sample(ids, min(anchors, images))  # noqa: S311 - a sample
    counts = tuple(each.card.local_count or 0 for each in (opened.models.encoder(), encoder))
    described: dict[UUID, Description] = {}
    began = time.monotonic()
    tried = 0
    for tried, (i, found) in enumerate(describe_again(catalog, chosen, describer), start=1):
        if found is not None:
            described[i] = found
        listen(Progress("measure", tried, len(chosen)))
    each = (time.monotonic() - began) / max(len(described), 1)
    before = opened.context.store.vectors([*described])
    pairs = [i for i in chosen if i in described and i in before]
    old_rows = np.stack([before[i] for i in pairs]) if pairs else np.zeros((0, old.dim), np.float32)
    new_rows = np.zeros((0, new.dim), np.float32)
    if pairs:
        new_rows = np.stack([described[i].features.vector for i in pairs]).astype(np.float32)
    trial = try_bridges(path, encoder.card, old, new, old_rows, new_rows)
    bridges = {"queries": trial.queries, "vectors": trial.vectors}
    named = {kind: f"{kind}-{new.sha256[:8]}.bridge" for kind, made in bridges.items() if made}
    regions = settings.name if settings else NO_REGIONS
    upgrade = UnderWay(
        old=old,
        old_detector=old_detector,
        detector=detector,
        old_regions=opened.context.regions.choice or NO_REGIONS,
        regions=regions,
        queries=named.get("queries", ""),
        vectors=named.get("vectors", ""),
        by_both=trial.by_both,
        scores=trial.scores,
        region_scores=trial.region_scores,
        own_image=trial.measured.own_image if trial.measured else 0.0,
    )
    row = 2 * new.dim + _ROW_BYTES
    if settings is not None:
        row += settings.count * (new.dim + 4) + _ROW_BYTES
    if images >= GRAPH_FROM:
        row += new.dim + 256
    needed, free = images * row + path.stat().st_size, layout.free_bytes()
    if free < needed + RESERVE:
        raise DiskFullError(
            f"the upgrade needs {needed >> 20} MB of disk until the old vectors go, and "
            f"{max(free - RESERVE, 0) >> 20} MB can be used; free some and try again"
        )
    against = _against(opened, encoder, upgrade, trial, tried - len(described), images)
    return Proposal(
        old=old,
        new=new,
        images=images,
        anchors=len(described),
        measured=trial.measured,
        by_both=trial.by_both,
        seconds=each * (images - len(described)),
        bytes_needed=needed,
        bytes_free=free,
        gains=_gains(upgrade, trial, old, new, counts),
        against=against,
        begins=Begins(
            path, upgrade, {named[k]: made for k, made in bridges.items() if made}, described
        ),
    )


def _detector(old: str, old_encoder: OnnxEncoder, encoder: OnnxEncoder) -> str:
    """The detector that the gallery will have.

    Another one than before only where that was the model's own, and only if the gallery could
    otherwise not be verified any more.
    """
    if old != OWN:
        return old
    before, after = (
        calibration_for(EncoderDetector(each).name) is not None for each in (old_encoder, encoder)
    )
    return "xfeat" if before and not after else OWN


def _gains(
    upgrade: UnderWay, trial: BridgeTrial, old: ModelId, new: ModelId, counts: tuple[int, ...]
) -> tuple[str, ...]:
    said = []
    if trial.speaks:
        said.append(f"{new} searches the vectors of {old} as they are")
    if upgrade.detector == upgrade.old_detector == OWN and 0 < counts[0] < counts[1]:
        said.append(f"{counts[1]} local features of a photo in place of {counts[0]}")
    if trial.by_both:
        said.append(
            "queries are encoded by both models until the end: each photo is found as now until "
            f"{new} has encoded it"
        )
    elif trial.measured is not None:
        through = "" if trial.speaks else " through a bridge"
        said.append(
            f"new queries search the old vectors{through} at once: of the ten neighbours "
            f"that {new} finds, it finds {trial.measured.bridged_new:.0%}, and {old} "
            f"{trial.measured.old_new:.0%} (on {trial.measured.images} photos kept aside)"
        )
    if upgrade.regions != upgrade.old_regions and upgrade.old_regions == NO_REGIONS:
        said.append("small things are found by regions, which the old model does not have")
    return tuple(said)


def _against(
    opened: Opened,
    encoder: OnnxEncoder,
    upgrade: UnderWay,
    trial: BridgeTrial,
    unreadable: int,
    images: int,
) -> tuple[str, ...]:
    said = []
    measured = trial.measured
    if trial.by_both and measured is not None:
        said.append(
            f"the bridge is refused: of the ten neighbours that {encoder.card.name} finds, it "
            f"finds {measured.bridged_new:.0%}, and the old model {measured.old_new:.0%}, of which "
            f"it has to be {MARGIN:.0%} ahead; until the end each query is encoded by both models, "
            "which takes longer"
        )
    elif trial.by_both:
        said.append("there are too few photos to fit a bridge; queries are encoded by both models")
    if upgrade.replaces_local_features:
        how = f"from those of {upgrade.old_detector} to those of {upgrade.detector}"
        if upgrade.detector == upgrade.old_detector:
            how = "with the model"
        said.append(
            f"local features change {how}: until the end a query is described by both, which takes "
            "longer, and duplicates and small objects cannot be searched for"
        )
    if region_settings(upgrade.old_regions) is not None and upgrade.regions == NO_REGIONS:
        said.append("the new model has no regions: small things will be found less")
    old_licence = opened.models.encoder().card.licence
    if encoder.card.licence != old_licence:
        said.append(f"its licence is {encoder.card.licence}; the old model's is {old_licence}")
    if unreadable:
        said.append(
            f"{unreadable} photos of those tried cannot be read as they were indexed (a disk that "
            "is not there, or files that have changed: run glocal index); the old vectors of such "
            "photos stay until they can be read"
        )
    return tuple(said)
