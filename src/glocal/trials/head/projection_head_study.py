"""Neighbours before a projection head tell more of another task than those after it."""

from __future__ import annotations

import torch

from glocal.analyse.projection import ProjectionStudy, study_projection
from glocal.learn.heads.projected import FixedReweighting, Projected, ProjectionHead
from glocal.learn.objectives.supervised_contrastive import SupervisedContrastive
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled
from glocal.trials.retrieval import train
from glocal.trials.zoo import SmallResidual, pixels

CLAIM = Claim(
    measured="accuracy of ten digits by 5 neighbours before the projection, trained on two",
    baseline="accuracy after the projection, of the same training",
    unit="per cent",
    comparison=">",
    margin=1.0,
    seeds=5,
)
_DIM = 32


def method(lab: Lab) -> float:
    """Study a projection head of two layers, and the fixed reweighting in its place."""
    learned = _studied(lab, ProjectionHead)
    fixed = _studied(lab, FixedReweighting)
    lab.check(
        "fixed reweighting: effective rank before it, in parts of that after it",
        fixed.rank_before / fixed.rank_after, ">", 1,
    )  # fmt: skip
    lab.check("fixed reweighting: accuracy before it, per cent", 100 * fixed.before, ">", 50)
    return 100 * learned.before


def baseline(lab: Lab) -> float:
    """The same projection head; what comes out of it."""
    return 100 * _studied(lab, ProjectionHead).after


def _studied(lab: Lab, made: type[Projected]) -> ProjectionStudy:
    """Train with labels of two, and study with labels of ten, on validation images."""
    torch.manual_seed(lab.seed)
    data = lab.digits(16)
    trunk = SmallResidual((8, 16, 24))
    head = made(trunk.levels, dim=_DIM)
    coarse = Labelled(data.train.images, data.train.labels % 2)
    train(trunk, head, SupervisedContrastive(), coarse, steps=lab.steps(80), seed=lab.seed)
    with torch.no_grad():
        before = head.features(trunk(pixels(data.validation.images)))
        after = head.project(before)
    return study_projection(before.numpy(), after.numpy(), data.validation.labels)
