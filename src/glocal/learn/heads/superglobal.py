"""SuperGlobal: better pooling for an already trained model."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Backbone, Level
from glocal.learn.heads.gem import generalised_mean
from glocal.learn.heads.pooled import Pooled

_LEAST = 1e-6


class SuperGlobal(Pooled):
    """Regional GeM, then GeM with a tuned power (Shao et al., 2023).

    Regional GeM averages the feature map with its generalised mean over a small window around each
    cell; GeM+ pools that with a power chosen on a validation set instead of the trained one. Only
    the whitening is learned; it comes from the trained model: `from_trained`. The paper's third
    pooling, over scales, is `pool_scales`; its fourth, ReLUP, is `raise_floor`.

    Args:
        levels: levels of the backbone's feature maps; the last is pooled.
        dim: length of the vector; None for no whitening.
        power: power of the pooling.
        regional_power: power within the window.
        window: side of the window in cells, an odd number; the feature map is reflected at its
            edges, and cells beyond its other edge are replaced by the first.

    Raises:
        LearnError: the window is an even number.
    """

    def __init__(
        self,
        levels: Sequence[Level],
        *,
        dim: int | None = None,
        power: float = 4.6,
        regional_power: float = 2.5,
        window: int = 5,
    ) -> None:
        super().__init__(levels, dim=dim)
        if window % 2 == 0:
            raise LearnError(
                f"the window has a cell at its centre, so it has to be odd, not {window}"
            )
        self.power, self.regional_power, self.window = power, regional_power, window

    @classmethod
    def from_trained(
        cls,
        head: Pooled,
        levels: Sequence[Level],
        *,
        power: float = 4.6,
        regional_power: float = 2.5,
        window: int = 5,
    ) -> SuperGlobal:
        """Build the head with the whitening of a trained head that pools the same feature map.

        Args:
            head: trained head, such as a `glocal.learn.heads.gem.Gem`; it is not changed.
            levels: levels of its backbone's feature maps.
            power: power of the pooling.
            regional_power: power within the window.
            window: side of the window in cells.
        """
        own = cls(levels, dim=None, power=power, regional_power=regional_power, window=window)
        own.whitening, own.dim = copy.deepcopy(head.whitening), head.dim
        return own

    def pool(self, feature_map: Tensor) -> Tensor:
        """Pool ``(b, c, h, w)`` to ``(b, c)``."""
        return generalised_mean(self._regional(feature_map), self.power)

    def _regional(self, feature_map: Tensor) -> Tensor:
        x = feature_map.clamp(min=_LEAST)
        half = self.window // 2
        # Cells beyond the edge are reflected. Unlike reflection padding, gathering them also works
        # for feature maps smaller than the window.
        rows = _reflected(x.shape[2], half, x.device)
        columns = _reflected(x.shape[3], half, x.device)
        padded = x.pow(self.regional_power).index_select(2, rows).index_select(3, columns)
        mean = functional.avg_pool2d(padded, self.window, stride=1)
        return (mean.pow(1 / self.regional_power) + feature_map) / 2


def _reflected(length: int, half: int, device: torch.device) -> Tensor:
    """Indices such as 2 1 0 1 2 3 ... for a window that reaches `half` cells over the edge."""
    last = torch.arange(length, device=device)[-1:]
    places = torch.arange(-half, length + half, device=device)
    return torch.minimum((last - (last - places.abs()).abs()).clamp(min=0), last)


def pool_scales(vectors: Tensor, *, power: float | None = None) -> Tensor:
    """Scale-GeM: combine the vectors of an image at several scales into one.

    Args:
        vectors: ``(s, b, d)``, the vectors at each scale.
        power: power of the generalised mean, which is taken after subtracting the minimum, so that
            it is defined; None for the maximum, which the paper chooses.

    Returns:
        ``(b, d)``, unit rows.
    """
    unit = functional.normalize(vectors, dim=-1)
    if power is None:
        return functional.normalize(unit.amax(dim=0), dim=-1)
    least = unit.min()
    mean = (unit - least).clamp(min=_LEAST).pow(power).mean(dim=0).pow(1 / power)
    return functional.normalize(mean + least, dim=-1)


class _RaisedFloor(nn.Module):
    def __init__(self, least: float, most: float | None) -> None:
        super().__init__()
        self.least, self.most = least, most

    def forward(self, x: Tensor) -> Tensor:
        return x.clamp(min=self.least, max=self.most)


def raise_floor(backbone: Backbone, *, least: float = 0.014) -> Backbone:
    """ReLUP: make rectifiers clip at a small positive value instead of zero.

    As in the paper for ResNets, this changes every stage but the last: its `ReLU` and `ReLU6`.

    Args:
        backbone: the backbone; a copy is changed.
        least: value at which rectifiers clip.

    Raises:
        LearnError: there is nothing to change: the backbone has only one stage, or other
            activations.
    """
    raised = copy.deepcopy(backbone)
    changed = 0
    for stage in raised.stages[:-1]:
        for module in list(stage.modules()):
            for name, child in module.named_children():
                if isinstance(child, nn.ReLU | nn.ReLU6):
                    most = 6.0 if isinstance(child, nn.ReLU6) else None
                    setattr(module, name, _RaisedFloor(least, most))
                    changed += 1
    if not changed:
        raise LearnError(
            "this backbone has no rectifiers before its last stage; use another backbone"
        )
    return raised
