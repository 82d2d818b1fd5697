"""What trials of backbones check besides their claims: sizes, and the use of the tiny preset."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import torch

from glocal.learn.contracts import Backbone
from glocal.learn.cost import count_parameters
from glocal.trials.data import accuracy
from glocal.trials.exporting import check_indexes
from glocal.trials.lab import Lab
from glocal.trials.zoo import Classifier, fit, predicted

_CLASSES = 1000


def check_sizes(
    lab: Lab,
    published: Mapping[type[Backbone], str],
    *,
    classifiers: int = 1,
    count: Callable[[Backbone], int] = count_parameters,
) -> None:
    """Check, with the first seed only, that parameter counts are within 2 % of the published.

    A published count is rounded; what it may have been rounded from counts as equal.

    Args:
        lab: the side's lab.
        published: for each size, its count in millions, as it was published.
        classifiers: linear classifiers of 1,000 classes that the published count has.
        count: counts the parameters of a network without a classifier.
    """
    if lab.seed or lab.smoke:
        return
    for kind, said in published.items():
        with torch.device("meta"):
            trunk = kind()
        counted = count(trunk) + classifiers * (trunk.levels[-1].width + 1) * _CLASSES
        rounding = 0.5 * 10.0 ** -len(said.partition(".")[2])
        beyond = max(0.0, abs(counted / 1e6 - float(said)) - rounding) / float(said)
        what = f"{kind.__name__}: {counted / 1e6:.2f} M parameters deviate from {said} M by parts"
        lab.check(what, beyond, "<", 0.02)


def check_use(
    lab: Lab, make: Callable[[], Backbone], *, steps: int = 100, least: float = 80.0
) -> None:
    """Check, with the first seed only, that a backbone is small, learns, is exported and searches.

    Args:
        lab: the side's lab.
        make: builds the tiny preset.
        steps: training steps on digits of 32 pixels.
        least: accuracy on validation images that has to be exceeded, in per cent; 10 is chance.
    """
    if lab.seed:
        return
    lab.check("parameters of the tiny preset", count_parameters(make()), "<", 1e6)
    data = lab.digits(32)
    model = Classifier(make(), data.classes)
    fit(model, data.train, steps=lab.steps(steps), seed=0)
    found = accuracy(predicted(model, data.validation.images), data.validation.labels)
    lab.check(f"accuracy on digits after {steps} steps, per cent (chance is 10)", found, ">", least)
    check_indexes(lab, make().eval())
