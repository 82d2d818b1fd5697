"""After digits are learned, each layer's features go on shrinking to fewer directions.

The network is the paper's, a perceptron of three hidden layers, trained on digits with AdamW and a
weight decay of .1. Measured is the local rank of the second and the third hidden layer, mean of
both, at the end of 2,000 steps and after the first third, by when the digits are learned: that
little more of validation images is right at the end is a check. The first layer's Jacobian is its
weights, of which all 64 directions stay; it is reported and not counted.

Steps, decay and tolerance were chosen in other divisions (seeds 100 and 101), where the ranks fell
as well without decay, by less: with seed 100 from 62.6 and 25.0 to 60.8 and 18.0 between 500 and
2,000 steps (found while choosing; stored nowhere).
"""

from __future__ import annotations

import copy
from functools import cache

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from glocal.learn.local_rank import LocalRank, study_local_rank
from glocal.trials import Claim, Lab
from glocal.trials.data import accuracy
from glocal.trials.tuned_digits import grey

CLAIM = Claim(
    measured="local rank of the two inner hidden layers at the end of the training",
    baseline="their rank after a third of it",
    unit="directions",
    comparison="<",
    margin=1.0,
    seeds=5,
)
_WIDTH, _STEPS, _BATCH, _RATE, _DECAY, _IMAGES = 128, 2000, 64, 1e-3, 0.1, 60
_FIRST, *_INNER = ("0", "2", "4")  # the linear layers that lead to hidden units


def method(lab: Lab) -> float:
    """At the end."""
    (before, half), (after, end) = _studies(lab.seed, lab.smoke)
    lab.check("validation images told rightly after a third, per cent", half, ">", 90)
    lab.check("gained from then to the end, points", end - half, "<", 3)
    for layer in _INNER:
        fall = before.ranks[layer] - after.ranks[layer]
        lab.check(f"directions that layer {layer} has lost", fall, ">", 0)
    lab.check("layers that are reported", len(after.ranks), "=", 4)
    return _rank(after)


def baseline(lab: Lab) -> float:
    """After a third."""
    return _rank(_studies(lab.seed, lab.smoke)[0][0])


def _rank(found: LocalRank) -> float:
    return float(np.mean([found.ranks[layer] for layer in _INNER]))


@cache
def _studies(seed: int, smoke: bool) -> tuple[tuple[LocalRank, float], ...]:
    """Ranks, and accuracy in per cent, after a third of the training and at its end."""
    lab = Lab(seed, smoke=smoke)
    data, random = lab.digits(8), lab.random()
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Linear(64, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, _WIDTH), nn.ReLU(),
        nn.Linear(_WIDTH, _WIDTH), nn.ReLU(), nn.Linear(_WIDTH, data.classes),
    )  # fmt: skip
    images, labels = grey(data.train.images), torch.from_numpy(data.train.labels)
    optimizer = torch.optim.AdamW(network.parameters(), _RATE, weight_decay=_DECAY)
    steps, found = lab.steps(_STEPS), []
    for step in range(1, steps + 1):
        chosen = torch.from_numpy(random.choice(len(images), _BATCH, False))
        loss = functional.cross_entropy(network(images[chosen]), labels[chosen])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        if step in (max(1, steps // 3), steps):
            found.append(copy.deepcopy(network))
    seen = grey(data.validation.images)
    return tuple(
        (
            study_local_rank(each, seen[:_IMAGES]),
            accuracy(each(seen).argmax(dim=1).numpy(), data.validation.labels),
        )
        for each in found
    )
