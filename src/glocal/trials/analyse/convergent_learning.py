"""Units that were planted in a second model are found, one to one, and as mixtures.

The first model has the units of a network trained on digits. The second is made of them in another
order, at other scales and with noise; a third of the units are gone from it and replaced by units
of an untrained network, and another third are there in pairs only, as the sum and the difference of
two. So which unit is whose partner, which has none, and of which two it is a mixture is known.

That two networks trained apart share more units than an untrained one has of either is a check.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.analyse.convergent import study_units
from glocal.trials import Claim, Lab
from glocal.trials.zoo import Classifier, SmallResidual, fit, pixels

CLAIM = Claim(
    measured="partner of each unit in the second model as found, 0 for none",
    baseline="partner as planted",
    unit="number of the unit",
    comparison="=",
    margin=1e-9,
    seeds=5,
)
_WIDTH, _STEPS, _NOISE = 48, 80, 0.1

Floats = NDArray[np.float64]


def method(lab: Lab) -> NDArray[np.float64]:
    """Match."""
    one, other, truth, mixed = _planted(lab)
    found = study_units(one, other, least=0.98)
    pairs = [np.flatnonzero(np.abs(found.mixtures[unit]) > 0.2) for unit in mixed]
    right = [set(pair) == set(wanted) for pair, wanted in zip(pairs, mixed.values(), strict=True)]
    lab.check("share of mixtures found as they are", np.mean(right), ">", 0.9)
    gone = np.setdiff1d(np.flatnonzero(truth < 0), list(mixed))
    more = found.explained[list(mixed)].mean() - found.explained[gone].mean()
    lab.check("variance of mixtures explained, less that of units that are gone", more, ">", 0.05)
    apart, never = _units(lab.seed, 1, lab.smoke), _units(lab.seed, -1, lab.smoke)
    shared = [len(study_units(one, each, least=0.6).shared) for each in (apart, never)]
    lab.check("units shared by networks trained apart, less those of an untrained one",
              shared[0] - shared[1], ">", 0)  # fmt: skip
    return (found.partners + 1).astype(np.float64)


def baseline(lab: Lab) -> NDArray[np.float64]:
    """What was planted."""
    return (_planted(lab)[2] + 1).astype(np.float64)


def _planted(lab: Lab) -> tuple[Floats, Floats, NDArray[np.int64], dict[int, tuple[int, int]]]:
    """Units of both models, the partners, and of which two a unit is a mixture."""
    one, never = _units(lab.seed, 0, lab.smoke), _units(lab.seed, -1, lab.smoke)
    random = lab.random()
    one = one / np.maximum(one.std(axis=0), 1e-6)
    never = never / np.maximum(never.std(axis=0), 1e-6)
    order = random.permutation(one.shape[1])
    third = len(order) // 6 * 2
    kept, paired, gone = order[third * 2 :], order[:third], order[third : 2 * third]
    first, second = paired[0::2], paired[1::2]
    sums, differences = one[:, first] + one[:, second], one[:, first] - one[:, second]
    columns = np.concatenate([one[:, kept], sums, differences, never[:, : len(gone)]], axis=1)
    columns = columns / columns.std(axis=0) + _NOISE * random.normal(size=columns.shape)
    place = random.permutation(columns.shape[1])  # column i goes to place[i]
    other = np.empty_like(columns)
    other[:, place] = columns * random.uniform(0.5, 2, columns.shape[1])
    truth = np.full(one.shape[1], -1)
    truth[kept] = place[: len(kept)]
    half = len(first)
    mixed = {}
    for number in range(half):
        two = (int(place[len(kept) + number]), int(place[len(kept) + half + number]))
        mixed[int(first[number])] = mixed[int(second[number])] = two
    return one, other, truth, mixed


@cache
def _units(seed: int, number: int, smoke: bool) -> Floats:
    """Activations of the last map's 48 channels at cells of digits; -1 is an untrained network."""
    lab = Lab(seed, smoke=smoke)
    torch.manual_seed(100 * seed + number + 1)
    data = lab.digits(8)
    network = Classifier(SmallResidual((16, 32, _WIDTH)), data.classes)
    if number >= 0:
        fit(network, data.train, steps=lab.steps(_STEPS), seed=100 * seed + number)
    with torch.no_grad():
        maps = network.eval().trunk(pixels(data.validation.images))[-1]
    found: Floats = maps.permute(0, 2, 3, 1).reshape(-1, _WIDTH).double().numpy()
    return found
