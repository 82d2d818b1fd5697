"""Second moments of a fixed backbone's features add to what their mean tells."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.heads.moment_probing import MomentProbing
from glocal.trials import Claim, Lab
from glocal.trials.zoo import Classifier, SmallResidual, fit, predicted

CLAIM = Claim(
    measured="accuracy on digits of moment probing of a frozen backbone",
    baseline="accuracy of a linear probe of the mean feature",
    unit="per cent",
    comparison=">",
    margin=1.0,
    seeds=6,
)
_WIDTHS = (8, 12, 16)


def method(lab: Lab) -> float:
    """Probe with both moments."""
    trunk = _pretrained(lab)
    probe = MomentProbing(trunk.levels, dim=64, heads=4, narrow=8)
    return _probed(lab, trunk, probe, 64)


def baseline(lab: Lab) -> float:
    """Probe with the mean alone."""
    trunk = _pretrained(lab)
    return _probed(lab, trunk, _Mean(), _WIDTHS[-1])


class _Mean(nn.Module):
    def forward(self, maps: list[Tensor]) -> Tensor:
        return maps[-1].mean(dim=(2, 3))


class _Probe(nn.Module):
    """A frozen trunk, what is seen of its maps, and a linear classifier with a learned scale."""

    def __init__(self, trunk: SmallResidual, seen: nn.Module, width: int) -> None:
        super().__init__()
        self.trunk, self.seen = trunk, seen
        self.norm, self.linear = nn.BatchNorm1d(width), nn.Linear(width, 10)

    def forward(self, image: Tensor) -> Tensor:
        with torch.no_grad():
            maps = self.trunk.eval()(image)
        found = self.seen(maps)
        vector = found if isinstance(found, Tensor) else found.vector
        return self.linear(self.norm(vector))


def _pretrained(lab: Lab) -> SmallResidual:
    """A trunk that learned to tell even from odd digits, and is frozen."""
    torch.manual_seed(lab.seed)
    data = lab.digits(16)
    trunk = SmallResidual(_WIDTHS)
    other = type(data.train)(data.train.images, data.train.labels % 2)
    fit(Classifier(trunk, 2), other, steps=lab.steps(40), seed=lab.seed)
    return trunk.requires_grad_(False)


def _probed(lab: Lab, trunk: SmallResidual, seen: nn.Module, width: int) -> float:
    data = lab.digits(16)
    model = _Probe(trunk, seen, width)
    fit(model, data.train, steps=lab.steps(150), seed=lab.seed, lr=1e-2)
    return data.test.accuracy(predicted(model, data.test.images))
