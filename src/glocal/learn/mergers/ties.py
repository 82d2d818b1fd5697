"""TIES: what tunings have changed little is left out, and they vote on the sign of the rest."""

from __future__ import annotations

import torch
from torch import Tensor

from glocal.errors import LearnError
from glocal.learn.mergers.merger import Merger


class Ties(Merger):
    """Trim, elect sign and merge.

    With ``tau_t`` what tuning t has added to the parameters of the base:

    1. trim: of each ``tau_t`` the share ``keep`` of largest magnitude stays, the rest is 0;
    2. elect: each parameter gets the sign ``gamma = sgn(sum_t tau_t)``, that of the larger mass;
    3. merge: the mean of those ``tau_t`` that have this sign and are not 0.

    The base changes by ``scale`` times that.

    Source: Yadav, Tam, Choshen, Raffel and Bansal, TIES-Merging: Resolving Interference When
    Merging Models, 2023.

    Deviations: running statistics, which the paper's transformers do not have, are averaged.

    Args:
        keep: share of each tuning's changes that stays, in (0, 1]; the paper's 20 per cent.
        scale: the paper's lambda, 1 where there are no validation images to choose it on.

    Raises:
        LearnError: one of them is out of range.
    """

    name = "ties"

    def __init__(self, *, keep: float = 0.2, scale: float = 1.0) -> None:
        if not 0 < keep <= 1 or not scale > 0:
            raise LearnError(
                f"keep has to be in (0, 1] and scale above 0, not {keep:g} and {scale:g}"
            )
        self.keep, self.scale = keep, scale

    def change(self, changes: Tensor) -> Tensor:
        """The merged change ``(p,)`` of ``(t, p)``."""
        left_out = changes.shape[1] - max(1, round(self.keep * changes.shape[1]))
        if left_out:
            largest_left_out = changes.abs().kthvalue(left_out, dim=1, keepdim=True).values
            changes = torch.where(changes.abs() > largest_left_out, changes, 0.0)
        sign = changes.sum(dim=0).sign()
        agreeing = torch.where(changes.sign() == sign, changes, 0.0)
        count = (agreeing != 0).sum(dim=0).clamp(min=1)
        return self.scale * agreeing.sum(dim=0) / count
