"""In one network, trained alike, a mixer decides what is told rightly and how far a cell sees.

Three mixers stand in the same small network, and none at all: a 3x3 convolution of each channel, an
adaptive filter in the frequency domain, which is global, and convolutions that learn where their
weights lie. All else begins alike, and all are trained alike on digits. Measured is how far a cell
sees by the global one and by the 3x3 convolution. Accuracy, receptive field and what images bear of
shifts, turns and scales are reported of each, and kept with the result as checks. The network is
far smaller than the paper's: which mixer is the best here says nothing of large ones.

Steps and rate were chosen with seed 100, so that mixers differ and none is at its end.
"""

from __future__ import annotations

from functools import cache

import torch
from torch import nn

from glocal.learn.blocks.affnet import AdaptiveFrequencyFilter
from glocal.learn.blocks.dcls import LearnableSpacings
from glocal.learn.mixers import Make, MixerReport, study_mixers
from glocal.trials import Claim, Lab
from glocal.trials.zoo import fit, pixels

CLAIM = Claim(
    measured="side of the square that a cell sees by a mixer in the frequency domain",
    baseline="by a 3x3 convolution in the same network",
    unit="per cent of the image's side",
    comparison=">",
    margin=10.0,
    seeds=5,
)
_STEPS, _RATE = 150, 5e-3


def _three(width: int) -> nn.Module:
    return nn.Conv2d(width, width, 3, padding=1, groups=width)


def _none(width: int) -> nn.Module:
    return nn.Identity()


_MIXERS: dict[str, Make] = {
    "none": _none,
    "3x3": _three,
    "frequencies": AdaptiveFrequencyFilter,
    "spacings": LearnableSpacings,
}


def method(lab: Lab) -> float:
    """The global mixer, and the reports of all."""
    found = {name: _study(lab.seed, lab.smoke, name) for name in _MIXERS}
    none = found.pop("none")
    lab.check("parameters without a mixer", none.parameters, "=", 0)
    for name, each in found.items():
        gained = 100 * (each.accuracy - none.accuracy)
        lab.check(f"{name}: told rightly more than without a mixer, points", gained, ">", 0)
        wider = 100 * (each.field - none.field)
        lab.check(f"{name}: seen more of the side than without, per cent", wider, ">", 0)
        for change, share in each.kept.items():
            lab.check(f"{name}: classes kept after a {change}, per cent", 100 * share, ">", 0)
    return 100 * found["frequencies"].field


def baseline(lab: Lab) -> float:
    """The 3x3 convolution."""
    return 100 * _study(lab.seed, lab.smoke, "3x3").field


@cache
def _study(seed: int, smoke: bool, name: str) -> MixerReport:
    lab = Lab(seed, smoke=smoke)
    data = lab.digits(16)

    def train(network: nn.Module) -> None:
        fit(network, data.train, steps=lab.steps(_STEPS), seed=seed, lr=_RATE)

    images, labels = pixels(data.validation.images), torch.from_numpy(data.validation.labels)
    mixers = {name: _MIXERS[name]}
    return study_mixers(mixers, train, images, labels, classes=data.classes, seed=seed)[name]
