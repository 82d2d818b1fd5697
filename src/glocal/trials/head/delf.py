"""DELF's local features, trained by labels of images, reject queries that lack a match.

Attention picks keypoints, but verified inliers tell no better than cosines which pairs match: the
differences of six seeds go both ways (-13 to 7). At most 64 local features of a view of 64 pixels
may be too few for a homography, where the vectors tell the tiles of two photos apart as well.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from glocal.encoders.features import LocalFeatures
from glocal.learn.contracts import Output
from glocal.learn.heads.delf import Delf
from glocal.learn.objectives.arcface import ArcFace
from glocal.ranking.verification import Settings, verify
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled
from glocal.trials.retrieval import train
from glocal.trials.zoo import SmallResidual, pixels

CLAIM = Claim(
    measured="image pairs with a match told from those without, by verified inliers",
    baseline="the same by the cosine of the vectors, of the same network",
    unit="per cent in the right order",
    comparison=">",
    margin=1.0,
    seeds=6,
)
_SIDE, _ROOM, _GRID = 64, 12, 3
_SETTINGS = Settings(min_similarity=0.6, tolerance=0.04)


def method(lab: Lab) -> float:
    """Inliers of two views of one tile, against those of different tiles."""
    gallery, queries = _encoded(lab)
    found = np.array([[_inliers(q, g) for g in _each(gallery)] for q in _each(queries)])
    cells = gallery.attention.flatten(1)
    even = cells.std(dim=1) / cells.mean(dim=1)
    lab.check("spread of attention over cells, in parts of its mean", even.mean(), ">", 0.1)
    return _told_apart(found)


def baseline(lab: Lab) -> float:
    """Cosines."""
    gallery, queries = _encoded(lab)
    return _told_apart((queries.vector @ gallery.vector.T).numpy())


def _encoded(lab: Lab) -> tuple[Output, Output]:
    """Two views of each tile of two photos, by a network trained on tiles of two others."""
    torch.manual_seed(lab.seed)
    random = lab.random()
    order = random.permutation(4)
    photos = lab.photos(256)
    seen = [tile for number in order[:2] for tile in _tiles(photos[number])]
    views = 4 if lab.smoke else 16
    images = np.stack([_view(tile, random) for tile in seen for _ in range(views)])
    data = Labelled(images, np.repeat(np.arange(len(seen)), views))
    trunk = SmallResidual((8, 12, 16, 24))
    head = Delf(trunk.levels, dim=32, local_dim=24, count=64, classes=len(seen))
    objective = ArcFace(dim=32, classes=len(seen))
    train(trunk, head, objective, data, steps=lab.steps(60), seed=lab.seed, batch=24)
    new = [tile for number in order[2:] for tile in _tiles(photos[number])]
    both = [pixels(np.stack([_view(tile, random) for tile in new])) for _ in range(2)]
    with torch.no_grad():
        gallery, queries = (head(trunk(images)) for images in both)
    return gallery, queries


def _tiles(photo: NDArray[np.uint8]) -> list[Image.Image]:
    """Tiles with room for views, which overlap little."""
    whole, side = Image.fromarray(photo), _SIDE + 2 * _ROOM
    places = np.linspace(0, whole.width - side, _GRID).round().astype(int).tolist()
    return [whole.crop((x, y, x + side, y + side)) for y, x in product(places, places)]


def _view(tile: Image.Image, random: np.random.Generator) -> NDArray[np.uint8]:
    """A tile turned by up to 8 degrees, shifted by up to 6 pixels, of another brightness."""
    turned = tile.rotate(float(random.uniform(-8, 8)), Image.Resampling.BILINEAR)
    left, top = random.integers(_ROOM - 6, _ROOM + 7, 2).tolist()
    cut = np.asarray(turned.crop((left, top, left + _SIDE, top + _SIDE)), np.float32)
    changed = cut * random.uniform(0.7, 1.2) + random.normal(0, 4, cut.shape)
    return changed.clip(0, 255).astype(np.uint8)


def _each(output: Output) -> list[LocalFeatures]:
    local = output.local
    return [
        LocalFeatures(*(part[number].numpy() for part in
                        (local.keypoints, local.descriptors, local.scores)))
        for number in range(len(output.vector))
    ]  # fmt: skip


def _inliers(query: LocalFeatures, candidate: LocalFeatures) -> int:
    size = (_SIDE, _SIDE)
    return verify(query, candidate, size, size, _SETTINGS).inliers


def _told_apart(scores: NDArray[np.generic]) -> float:
    """How often a pair that matches scores higher than one that does not; ties count half.

    Args:
        scores: ``(n, n)``; the diagonal has the pairs that match.
    """
    wide = np.asarray(scores, np.float64)
    own = wide.diagonal()[:, None]
    others = wide[~np.eye(len(wide), dtype=bool)]
    return 100 * float((own > others).mean() + 0.5 * (own == others).mean())
