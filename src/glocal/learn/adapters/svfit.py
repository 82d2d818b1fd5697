"""SVFit: only the largest singular values of each weight learn."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.adapters.adapter import Adapter, Change


class SvFit(Adapter):
    """Singular values as the only parameters.

    With ``W = U S V^T`` and its first r singular values s as parameters,

        ``W' = U_r diag(s) V_r^T + (W - U_r diag(s_0) V_r^T)``.

    Source: Sun, Wei, Wu, Shi, He, Ma, Xie and Yang, SVFit: Parameter-Efficient Fine-Tuning of Large
    Pre-Trained Models Using Singular Values, 2024.

    Deviations: none in what is computed; W is kept whole, so that it comes back to the last bit.

    Args:
        share: as many singular values learn as make up this share of the sum of all their squares,
            in (0, 1]; the paper's 99 per cent.

    Raises:
        LearnError: the share is out of range.
    """

    name = "svfit"

    def __init__(self, *, share: float = 0.99) -> None:
        if not 0 < share <= 1:
            raise LearnError(
                f"the share of the singular values that learn has to be in (0, 1], not {share:g}"
            )
        self.share = share

    def change(self, weight: Tensor) -> Change:
        """A change of the singular values, none at first."""
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        energy = values.double().square().cumsum(dim=0)
        rank = min(len(values), 1 + int((energy < self.share * energy[-1]).sum()))
        return _Values(left[:, :rank], values[:rank], right[:rank])


class _Values(Change):
    left: Tensor
    right: Tensor
    start: Tensor

    def __init__(self, left: Tensor, values: Tensor, right: Tensor) -> None:
        super().__init__()
        self.register_buffer("left", left)
        self.register_buffer("right", right)
        self.register_buffer("start", values.clone())
        self.values = nn.Parameter(values)

    def added(self) -> Tensor:
        return (self.left * (self.values - self.start)) @ self.right
