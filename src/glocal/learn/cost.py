"""What a network costs, counted and not timed: parameters, operations, largest tensor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


def count_parameters(module: nn.Module, *, learned: bool = True) -> int:
    """Number of parameters.

    Args:
        module: a network.
        learned: count only those that can be learned.
    """
    return sum(p.numel() for p in module.parameters() if p.requires_grad or not learned)


@torch.no_grad()
def count_flops(module: nn.Module, *inputs: Tensor) -> int:
    """Floating-point operations of one pass: two for each multiply-accumulate.

    Counted by torch: convolutions, matrix products and attention. Sums, activations, poolings and
    Fourier transforms are not counted.

    Args:
        module: a network; it is run in evaluation mode.
        inputs: its inputs.
    """
    was = module.training
    counter = FlopCounterMode(display=False)
    with counter:
        module.eval()(*inputs)
    module.train(was)
    return int(counter.get_total_flops())


@torch.no_grad()
def largest_tensor(compute: Callable[[], Any]) -> int:
    """Number of elements of the largest tensor that a computation makes, views left out."""
    mode = _Largest()
    with mode:
        compute()
    return mode.largest


class _Largest(TorchDispatchMode):
    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.largest = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(found):
            if isinstance(tensor, Tensor) and tensor._base is None:
                self.largest = max(self.largest, tensor.untyped_storage().nbytes() // 4)
        return found
