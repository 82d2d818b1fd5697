"""DELF's local features, trained by labels of images alone, reject queries that lack a match.

The frozen trunk has the weights of ImageNet, the labels are Grocery's 81 classes. A query is
another view of a test photo (turned, cut out, seen askew, in other light); its match is that photo.
The query lacks a match when that photo is taken away: then the best of the five photos nearest by
the vector stands for the answer, often of the same class, which is what the vector learned to find.

An earlier trial, on views of 64 pixels of four photos and a network from random weights, did not
show it (83.5 per cent by inliers, 84.1 by cosines): at most 64 local features were too few for a
homography, and the vectors had learned those tiles apart.
"""

from __future__ import annotations

from functools import lru_cache

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
from glocal.trials.grocery_maps import SIDE, levels, maps_of, train_head

CLAIM = Claim(
    measured="queries with a match told from those without, by verified inliers",
    baseline="the same by the cosine of the vectors, of the same network",
    unit="per cent in the right order",
    comparison=">",
    margin=1.0,
    seeds=6,
)
_DIM, _LOCAL, _COUNT = 128, 48, 128
_QUERIES, _NEAREST = 40, 5
_SETTINGS = Settings(min_similarity=0.6, tolerance=0.04)


def method(lab: Lab) -> float:
    """Inliers."""
    gallery, queries = _encoded(lab.seed, lab.smoke)
    cosines = (queries.vector @ gallery.vector.T).numpy()
    known = _each(gallery)
    scores = np.zeros_like(cosines)
    for number, query in enumerate(_each(queries)):
        for place in {number, *_nearest(cosines, number)}:
            scores[number, place] = verify(
                query, known[place], (SIDE, SIDE), (SIDE, SIDE), _SETTINGS
            ).inliers
    cells = gallery.attention.flatten(1)
    even = cells.std(dim=1) / cells.mean(dim=1)
    lab.check("spread of attention over cells, in parts of its mean", even.mean(), ">", 0.1)
    return _told_apart(scores, cosines)


def baseline(lab: Lab) -> float:
    """Cosines."""
    gallery, queries = _encoded(lab.seed, lab.smoke)
    cosines = (queries.vector @ gallery.vector.T).numpy()
    return _told_apart(cosines, cosines)


@lru_cache(maxsize=1)
def _encoded(seed: int, smoke: bool) -> tuple[Output, Output]:
    """Test photos, and another view of the first ones; the same for both sides of a pair."""
    lab = Lab(seed, smoke=smoke)
    torch.manual_seed(seed)
    data = lab.grocery(SIDE, 4 if smoke else 12)
    head = Delf(levels(), dim=_DIM, local_dim=_LOCAL, count=_COUNT, classes=data.classes)
    objective = ArcFace(dim=_DIM, classes=data.classes)
    train_head(head, objective, maps_of(data.train.images), data.train.labels,
               steps=lab.steps(100), seed=seed, lr=1e-2)  # fmt: skip
    random = lab.random()
    photos = data.test.images[random.permutation(len(data.test.images))]
    views = np.stack([view(photo, random) for photo in photos[:_QUERIES]])
    with torch.no_grad():
        return head(maps_of(photos)), head(maps_of(views))


def view(photo: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    """The same scene: corners moved inwards by up to a fifth, turned by up to 10 degrees, lit."""
    side = len(photo)
    turned = Image.fromarray(photo).rotate(random.uniform(-10, 10), Image.Resampling.BILINEAR)
    inwards = random.uniform(0.05, 0.2, 8) * side
    corners = np.array([0, 0, 0, side, side, side, side, 0], float)
    quad = np.where(corners == 0, inwards, side - inwards)
    seen = turned.transform(
        (side, side), Image.Transform.QUAD, quad.tolist(), Image.Resampling.BILINEAR
    )
    changed = np.asarray(seen, np.float32) * random.uniform(0.6, 1.3) + random.normal(
        0, 4, photo.shape
    )
    return changed.clip(0, 255).astype(np.uint8)


def _nearest(cosines: NDArray[np.float32], number: int) -> list[int]:
    """The photos nearest to a query by the vector, without its match."""
    order = np.argsort(-cosines[number], kind="stable")
    return order[order != number][:_NEAREST].tolist()


def _each(output: Output) -> list[LocalFeatures]:
    local = output.local
    return [
        LocalFeatures(*(part[number].numpy() for part in
                        (local.keypoints, local.descriptors, local.scores)))
        for number in range(len(output.vector))
    ]  # fmt: skip


def _told_apart(scores: NDArray[np.float32], cosines: NDArray[np.float32]) -> float:
    """How often a query with its match scores higher than one without; ties count half."""
    own = scores.diagonal()[:, None].astype(np.float64)
    other = np.array([scores[n, _nearest(cosines, n)].max() for n in range(len(scores))])[None]
    return 100 * float((own > other).mean() + 0.5 * (own == other).mean())
