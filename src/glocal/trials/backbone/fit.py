"""Groups and latents: a training step on an image of 6400x6400 pixels fits into 16 GB.

What is counted is what the tensors that are alive at once hold, operation by operation, on torch's
device without memory; one step at a small size is counted on the processor too. Both sides compute
attention plainly, as the paper does. A fused kernel would not keep the scores of either, and would
leave the difference in operations.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from glocal.learn.backbones.fit import FitLargeImages, FitTiny
from glocal.learn.cost import count_flops
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_use

CLAIM = Claim(
    measured="side of the largest square image on which a training step stays within 16 GB",
    baseline="side for the local layers alone, each over the data tokens of the whole image",
    unit="pixels",
    comparison=">",
    margin=2048.0,
    seeds=3,
)
_BUDGET, _GIGA = 16e9, 1e9
_VERY_LARGE, _COMPARED, _COUNTED = 6400, 2048, 256


def method(lab: Lab) -> float:
    """Groups and latents; what a step needs, that it reaches all of the image, and use."""
    if lab.seed == 0 and not lab.smoke:
        with torch.device("meta"):
            trunk, image = FitLargeImages(), torch.empty(1, 3, _COMPARED, _COMPARED)
            needed, counted = _needed(trunk, _VERY_LARGE), _needed(trunk, _COUNTED)
            parts = count_flops(trunk, image) / count_flops(_Plain(), image)
        what = f"GB that a training step on {_VERY_LARGE}x{_VERY_LARGE} pixels needs"
        lab.check(what, needed / _GIGA, "<", _BUDGET / _GIGA)
        off = abs(counted / _needed(FitLargeImages(), _COUNTED) - 1)
        lab.check("deviation of the count from one on the processor, in parts", off, "<", 0.01)
        lab.check(f"operations for {_COMPARED} pixels in parts of the baseline's", parts, "<", 1)
        cells, held = _encoded()
        what = f"finite cells of both maps of an image of {_VERY_LARGE}x{_VERY_LARGE} pixels"
        lab.check(what, cells, "=", 400 * 400 + 25 * 25)
        lab.check("GB that were needed to encode it", held / _GIGA, "<", _BUDGET / _GIGA)
        what = "groups, of 16, of which one cell of the last map has a gradient"
        lab.check(what, _reach(), "=", 16)
        check_use(lab, FitTiny)
    return _largest(FitLargeImages)


def baseline(lab: Lab) -> float:
    """No groups, and so no need of latents and of the layers over them."""
    del lab
    return _largest(_Plain)


class _Plain(nn.Module):
    """The patches and the local layers of the network, with one group that has all data tokens."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = FitLargeImages()

    def forward(self, image: Tensor) -> list[Tensor]:
        layers: list[Any] = list(self.trunk.stages)
        start, *turns, end = layers
        x = start.patches(self.trunk.normalise(image)).flatten(2).transpose(1, 2)
        x = start.norm(x)
        for turn in turns:
            x = turn.local(x)
        return [end.norm(x)]


def _largest(make: Callable[[], nn.Module]) -> float:
    """The largest multiple of 512 pixels, below 8,192, whose step stays within the budget."""
    low, high = 1, 16
    with torch.device("meta"):
        trunk = make()
        while high - low > 1:
            middle = (low + high) // 2
            if _needed(trunk, 512 * middle) <= _BUDGET:
                low = middle
            else:
                high = middle
    return 512.0 * low


def _needed(trunk: nn.Module, side: int) -> int:
    """Bytes of the tensors that are alive at once in a step, besides weights."""
    image = torch.rand(1, 3, side, side)
    with _Alive() as alive:
        torch.stack([found.square().mean() for found in trunk(image)]).sum().backward()
    trunk.zero_grad(set_to_none=True)
    return alive.most + image.nbytes


class _Alive(TorchDispatchMode):
    """Adds up the storages that operations make, until each is freed."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now = self.most = 0
        self._known: dict[int, int] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor):
                storage = tensor.untyped_storage()
                key = id(storage)
                if key not in self._known:
                    self._known[key] = storage.nbytes()
                    self.now += storage.nbytes()
                    self.most = max(self.most, self.now)
                    weakref.finalize(storage, self._freed, key)
        return found

    def _freed(self, key: int) -> None:
        self.now -= self._known.pop(key)


def _reach() -> int:
    """Groups of an image of 4x4 groups that the map's first cell depends on."""
    trunk = FitTiny().double().eval()
    image = torch.rand(1, 3, 64, 64, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(trunk(image)[-1][0, :, 0, 0].square().sum(), image)
    pixels = gradient[0].abs().sum(dim=0).unflatten(1, (4, 16)).unflatten(0, (4, 16))
    return int((pixels.sum(dim=(1, 3)) > 0).sum())


@torch.no_grad()
def _encoded() -> tuple[int, int]:
    """Finite cells of the maps of a very large image, and bytes of tensors alive at once."""
    trunk, image = FitLargeImages().eval(), torch.rand(1, 3, _VERY_LARGE, _VERY_LARGE)
    with _Alive() as alive:
        maps = trunk(image)
    cells = sum(int(found[0, 0].isfinite().sum()) for found in maps)
    return cells, alive.most + image.nbytes
