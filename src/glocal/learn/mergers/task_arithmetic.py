"""Task arithmetic: what tunings have changed is added up."""

from __future__ import annotations

from torch import Tensor

from glocal.errors import LearnError
from glocal.learn.mergers.merger import Merger


class TaskArithmetic(Merger):
    """Add up the changes of all tunings: ``t_0 + l sum_t (t_t - t_0)``.

    With ``l = 1 / t`` it is the mean of the weights.

    Source: Ilharco, Ribeiro, Wortsman, Gururangan, Schmidt, Hajishirzi and Farhadi, Editing Models
    with Task Arithmetic, 2023.

    Deviations: running statistics are averaged.

    Args:
        scale: ``l``, above 0; about .3 for many tunings, up to 1 for few.

    Raises:
        LearnError: The scale is out of range.
    """

    name = "task-arithmetic"

    def __init__(self, *, scale: float = 0.5) -> None:
        if not scale > 0:
            raise LearnError(f"scale has to be above 0, not {scale:g}")
        self.scale = scale

    def change(self, changes: Tensor) -> Tensor:
        """The merged change ``(p,)`` of ``(t, p)``."""
        return self.scale * changes.sum(dim=0)
