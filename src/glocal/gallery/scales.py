"""Which similarities of one gallery mean as much as those of another, whose model is another.

Two models give other similarities to the same two images. Some images that one gallery has are
encoded by the other's model too; then the same pairs are compared by both, and a similarity of the
one stands for that of the other which is as rare (`matching_scores`). It takes some seconds once
and is kept in the folder of the gallery whose similarities are matched.
"""

from __future__ import annotations

import json
import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import OnnxEncoder
from glocal.errors import GalleryError
from glocal.gallery.completing import describe_again
from glocal.gallery.describing import Describer
from glocal.gallery.matching_scores import matching_scores
from glocal.gallery.opened import Opened
from glocal.gallery.passage import SAME, Crossing
from glocal.gallery.progress import Progress
from glocal.gallery.stores.files import replace_file
from glocal.gallery.under_way import Knots

SAMPLE = 128
"""Images that both models encode at most. For an ImageNet trunk beside the bundled model, 16, 64,
128 and 256 of them give mAP .426, .433, .435 and .436, and scores as they are .234
(``benchmarks/galleries.py``)."""

LEAST = 10
"""With fewer images similarities are taken as they are."""

Floats = NDArray[np.float32]
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Fitted:
    """What is kept of one pair of models.

    Attributes:
        count: images that were compared.
        images: that the gallery had then.
        knots: what was found.
    """

    count: int
    images: int
    knots: Knots

    @classmethod
    def read(cls, stored: dict[str, Any]) -> _Fitted:
        before, after = (tuple(map(float, values)) for values in stored["knots"])
        if not len(before) == len(after) >= 2:
            raise ValueError("knots come in pairs")
        return cls(int(stored["count"]), int(stored["images"]), (before, after))


@dataclass(frozen=True, slots=True)
class Scales:
    """The similarities of one gallery as those of another one's model.

    Args:
        reference: the gallery whose similarities all are expressed in.
        other: the gallery whose similarities are matched with them.
        crossing: by which queries of the reference's model search the other; `None` where its own
            model encodes them.
        listen: told the progress.
    """

    reference: Opened
    other: Opened
    crossing: Crossing | None
    listen: Callable[[Progress], None]

    def knots(self) -> Knots:
        """Similarities of queries to the other's images, and those that mean as much.

        Raises:
            ModelError: a model's file is gone or damaged.
        """
        kept = self._read().get(self._pair)
        images = len(self.other.context.catalog.content_ids())
        if kept is not None and (kept.count >= SAMPLE or images < 2 * kept.images):
            return kept.knots
        count, knots = self._fit()
        self._keep(_Fitted(count, images, knots))
        return knots

    def _fit(self) -> tuple[int, Knots]:
        """How many images were compared, and what was found."""
        by_reference = self.reference.models.encoder(side_by_side=True)
        old, new = _both(self.other, by_reference, SAMPLE, self.listen)
        asked = old
        if self.crossing is not None:
            if len(new):
                asked = self.crossing.bridge.queries(new)
        elif len(old) < SAMPLE:
            by_other = self.other.models.encoder(side_by_side=True)
            more_new, more_old = _both(self.reference, by_other, SAMPLE - len(old), self.listen)
            old, new = np.concatenate([old, more_old]), np.concatenate([new, more_new])
            asked = old
        if len(old) < LEAST:
            return len(old), SAME
        return len(old), matching_scores(asked @ old.T, new @ new.T)

    @property
    def _file(self) -> Path:
        return self.other.context.layout.folder / "scores.json"

    @property
    def _pair(self) -> str:
        """What the similarities depend on."""
        models = [each.context.layout.model.sha256 for each in (self.other, self.reference)]
        return " ".join([*models, "" if self.crossing is None else self.crossing.sha256])

    def _read(self) -> dict[str, _Fitted]:
        """What the file says of the other's model as it is now; a damaged one is made again."""
        own = self.other.context.layout.model.sha256
        try:
            stored = json.loads(self._file.read_text(encoding="utf-8"))
            return {
                pair: _Fitted.read(each) for pair, each in stored.items() if pair.startswith(own)
            }
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}

    def _keep(self, fitted: _Fitted) -> None:
        if self.other.context.catalog.read_only:
            return
        known = self._read() | {self._pair: fitted}
        stored = {pair: asdict(each) for pair, each in known.items()}
        try:
            replace_file(self._file, (json.dumps(stored) + "\n").encode())
        except (OSError, GalleryError) as error:
            _log.info("%s is not kept: %s", self._file, error)


def _both(
    opened: Opened, encoder: OnnxEncoder, count: int, listen: Callable[[Progress], None]
) -> tuple[Floats, Floats]:
    """Some images of a gallery: its vectors ``(n, d)``, and what another model makes of them."""
    catalog = opened.context.catalog
    ids = sorted(catalog.content_ids())
    chosen = random.Random(0).sample(ids, min(count, len(ids)))  # noqa: S311 - a sample
    own = opened.context.store.vectors(chosen)
    describer = Describer(encoder, None, opened.context.limits)
    made = dict[UUID, Floats]()
    for done, (i, found) in enumerate(describe_again(catalog, [*own], describer), start=1):
        if found is not None:
            made[i] = found.features.vector
        listen(Progress("measure", done, len(own)))
    pairs = sorted(made)  # whatever the order in which they were encoded
    dim = opened.context.layout.model.dim
    return _rows([own[i] for i in pairs], dim), _rows([made[i] for i in pairs], encoder.dim)


def _rows(vectors: Sequence[Floats], dim: int) -> Floats:
    return np.stack(vectors) if vectors else np.zeros((0, dim), np.float32)
