"""LoRA and PiSSA: a product of two narrow matrices is added to a frozen one."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn.adapters.adapter import Adapter, Change


class Lora(Adapter):
    """Low-rank adaptation: ``W' = W + B A`` with ``B = 0`` and ``A`` random at first.

    Source: Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen, LoRA: Low-Rank Adaptation of
    Large Language Models, 2021.

    Deviations: the product is not scaled, which is the paper's ``alpha = r``; no dropout.

    Args:
        rank: columns of B and rows of A; a smaller matrix has its own rank.

    Raises:
        LearnError: the rank is below 1.
    """

    name = "lora"

    def __init__(self, *, rank: int = 4) -> None:
        if rank < 1:
            raise LearnError(f"the rank of an adapter has to be at least 1, not {rank}")
        self.rank = rank

    def change(self, weight: Tensor) -> Change:
        """A product that is zero."""
        rank = min(self.rank, *weight.shape)
        left = weight.new_zeros(len(weight), rank)
        right = nn.init.kaiming_uniform_(weight.new_empty(rank, weight.shape[1]), a=math.sqrt(5))
        return _Product(left, right)


class Pissa(Lora):
    """Principal singular values and vectors adaptation.

    With ``W = U S V^T`` and its first r singular values, ``A`` and ``B`` start as the principal
    part, and the rest of W is frozen:

        ``B = U_r S_r^(1/2),  A = S_r^(1/2) V_r^T,  W' = (W - B_0 A_0) + B A``.

    Source: Meng, Wang and Zhang, PiSSA: Principal Singular Values and Singular Vectors Adaptation
    of Large Language Models, 2024.

    Deviations: none in what is computed; W is kept whole beside ``B_0 A_0``, so that it comes
    back to the last bit.

    Args:
        rank: number of singular values.
    """

    name = "pissa"

    def change(self, weight: Tensor) -> Change:
        """A product that is the principal part, less that part."""
        left, values, right = torch.linalg.svd(weight, full_matrices=False)
        root = values[: self.rank].sqrt()
        return _Product(left[:, : self.rank] * root, root[:, None] * right[: self.rank])


class _Product(Change):
    start: Tensor

    def __init__(self, left: Tensor, right: Tensor) -> None:
        super().__init__()
        self.register_buffer("start", left @ right)
        self.left, self.right = nn.Parameter(left), nn.Parameter(right)

    def added(self) -> Tensor:
        return self.left @ self.right - self.start
