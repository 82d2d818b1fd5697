"""What the trials of all families of timm's backbones check besides their claim."""

from __future__ import annotations

import torch

from glocal.learn.backbones.timm_families import TimmFamily
from glocal.learn.cost import count_parameters
from glocal.learn.timm_package import import_timm
from glocal.trials.data import accuracy
from glocal.trials.exporting import check_indexes
from glocal.trials.lab import Lab
from glocal.trials.zoo import Classifier, fit, predicted


def check_family(
    lab: Lab, family: type[TimmFamily], *, steps: int = 60, indexes: bool = True
) -> None:
    """Check, with the first seed only: published sizes, that the preset trains, and indexes.

    Args:
        lab: the side's lab.
        family: the family of backbones.
        steps: training steps of 32 digits.
        indexes: whether also to export the preset, and to index and search with the file.
    """
    if lab.seed:
        return
    timm = import_timm(family.__name__)
    for name, millions in {} if lab.smoke else family.published.items():
        with torch.device("meta"):
            size = count_parameters(timm.create_model(name)) / (millions * 1e6)
        lab.check(f"{name}: parameters in parts of the published", size, ">", 0.98)
        lab.check(f"{name}: again", size, "<", 1.02)
    trunk = family.tiny()
    lab.check("parameters of the tiny preset", count_parameters(trunk), "<", 1e6)
    if lab.smoke:
        return
    data = lab.digits(trunk.multiple)
    model = Classifier(trunk, data.classes)
    fit(model, data.train, steps=steps, seed=0, batch=32)
    found = accuracy(predicted(model, data.validation.images), data.validation.labels)
    lab.check(f"accuracy on digits after {steps} steps, per cent (chance is 10)", found, ">", 50)
    if indexes:
        check_indexes(lab, family.tiny().eval())
