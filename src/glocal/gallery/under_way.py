"""What is to be known of an upgrade while it is under way; it lies in ``gallery.json``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from glocal.gallery.model_id import ModelId

Knots = tuple[tuple[float, ...], tuple[float, ...]]
"""Similarities, rising, and others that mean as much; see `glocal.gallery.matching_scores`."""


@dataclass(frozen=True, slots=True)
class UnderWay:
    """An upgrade that has begun and not ended.

    Attributes:
        old: the model that the gallery is leaving, of which images have vectors until the new one
            has encoded them.
        old_detector: of local features, of images that the new model has yet to encode.
        detector: of those that it has encoded.
        old_regions: which regions of images have vectors, before.
        regions: and afterwards.
        queries: file of the bridge by which queries of the new model search the old vectors;
            empty where both spaces are one to the new model, which was trained so.
        vectors: file of the bridge that brings old vectors into the new space, likewise.
        by_both: whether queries are encoded by the old model too, instead of through the bridge.
        scores: similarities of queries to old vectors that were brought into the new space, rising,
            and those to new vectors that mean as much.
        region_scores: likewise, of queries that were brought into the old space.
        own_image: of images kept aside, the share whose own old vector a query found first.
    """

    old: ModelId
    old_detector: str
    detector: str
    old_regions: str
    regions: str
    queries: str
    vectors: str
    by_both: bool
    scores: Knots
    region_scores: Knots
    own_image: float

    @classmethod
    def read(cls, stored: dict[str, Any]) -> UnderWay:
        """What `dataclasses.asdict` made of it.

        Raises:
            KeyError: something is missing.
            TypeError: there is more than is known.
        """
        old = ModelId(**stored["old"])
        knots = {name: _knots(stored[name]) for name in ("scores", "region_scores")}
        return cls(**{**stored, "old": old, **knots})

    @property
    def replaces_local_features(self) -> bool:
        """Whether images get other local features: a model's own change with it, others do not."""
        return self.old_detector == "own" or self.detector != self.old_detector


def _knots(stored: list[list[float]]) -> Knots:
    before, after = (tuple(map(float, values)) for values in stored)
    return before, after
