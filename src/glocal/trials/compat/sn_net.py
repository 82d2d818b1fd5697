"""SN-Net: accuracy and cost of every switch point lie between those of both encoders.

Two residual networks are trained on digits, stitched, and trained together; images are then
searched by each route in the index of the large encoder, so that all have to speak its space.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch

from glocal.encoders.stitches import within_budget
from glocal.learn.cells import Cells
from glocal.learn.contracts import Backbone
from glocal.learn.cost import count_flops
from glocal.learn.heads.gem import Gem
from glocal.learn.model import Model
from glocal.learn.objectives.softmax import NormalisedSoftmax
from glocal.learn.stitching import Stitched
from glocal.trials import Claim, Lab
from glocal.trials.data import mean_ap_of_scores
from glocal.trials.retrieval import train
from glocal.trials.zoo import SmallResidual, pixels

CLAIM = Claim(
    measured="mean mAP of the stitched routes, searching in the large encoder's index",
    baseline="mAP of the small encoder in its own index",
    unit="per cent",
    comparison=">",
    margin=1.0,
    seeds=6,
)
_DIM = 24


def method(lab: Lab) -> float:
    """Stitch, train all routes together, and measure each of them."""
    joined = _stitched(lab)
    data = lab.digits(8).validation
    images = pixels(data.images)
    costs = [count_flops(joined.model(route), images[:1]) for route in range(joined.routes)]
    least = min(after / before for before, after in pairwise(costs))
    lab.check("cost of a route in parts of the one before, least", least, ">", 1)
    ranks = range(joined.routes)
    picked = [within_budget(costs, ranks, x)[0] for x in (costs[0], costs[2] - 1, costs[-1])]
    for found, right in zip(picked, (0, 1, joined.routes - 1), strict=True):
        lab.check("route chosen for a budget", found, "=", right)
    with torch.no_grad():
        vectors = [joined(images, route).numpy() for route in range(joined.routes)]
    found = [mean_ap_of_scores(own @ vectors[-1].T, data.labels) for own in vectors]  # type: ignore[assignment]
    across = mean_ap_of_scores(vectors[1] @ vectors[2].T, data.labels)
    lab.check("large encoder less the mean of the stitched routes, points of mAP",
              found[-1] - float(np.mean(found[1:-1])), ">", 0)  # fmt: skip
    lab.check("one stitched route in the index of another, in parts of the large encoder's mAP",
              across / found[-1], ">", 0.9)  # fmt: skip
    return float(np.mean(found[1:-1]))


def baseline(lab: Lab) -> float:
    """The small encoder before it is stitched."""
    data = lab.digits(8).validation
    small, _ = _anchors(lab)
    with torch.no_grad():
        vectors = small.eval()(pixels(data.images)).vector.numpy()
    return mean_ap_of_scores(vectors @ vectors.T, data.labels)


def _anchors(lab: Lab) -> tuple[Model, Model]:
    """A small and a large encoder, trained on digits apart from each other."""
    found = []
    for widths in ((3, 4, 6), (16, 24, 32)):
        torch.manual_seed(lab.seed)
        trunk: Backbone = SmallResidual(widths)
        head = Gem(trunk.levels, dim=_DIM)
        data = lab.digits(8)
        objective = NormalisedSoftmax(dim=_DIM, classes=data.classes)
        train(trunk, head, objective, data.train, steps=lab.steps(60), seed=lab.seed)
        found.append(Model(trunk, head, Cells(trunk.levels, dim=4, count=1)))
    return found[0], found[1]


def _stitched(lab: Lab) -> Stitched:
    """Both stitched, with the stitches fitted and all routes trained."""
    joined = Stitched(*_anchors(lab))
    images = pixels(lab.digits(8).train.images)
    joined.fit(images[:200].split(50))
    with torch.no_grad():
        target = joined(images, joined.routes - 1)
    optimizer = torch.optim.AdamW(joined.parameters(), lr=1e-3, weight_decay=0.01)
    random = np.random.default_rng(lab.seed)
    joined.train()
    for _ in range(lab.steps(160)):
        chosen = torch.from_numpy(random.choice(len(images), 64, False))
        route = int(random.integers(joined.routes))
        optimizer.zero_grad(set_to_none=True)
        joined.loss(images[chosen], route, target[chosen]).backward()
        optimizer.step()
    return joined.eval()
