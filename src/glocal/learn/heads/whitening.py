"""Learned whitening: a linear projection that shortens a pooled vector and evens its variances."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError

_SHRINKAGE = 1e-3  # shrinkage of a covariance to its mean variance, so that it is invertible


class Whitening(nn.Module):
    """An affine projection followed by normalisation; learned by gradient, or fitted in one step.

    It starts as a random rotation (orthonormal rows), which roughly keeps angles.

    Args:
        width: length of the input vectors.
        dim: length of the output vectors; fitting needs at most `width`.
    """

    def __init__(self, width: int, dim: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, dim)
        nn.init.orthogonal_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, vectors: Tensor) -> Tensor:
        """Project ``(..., width)`` to unit vectors ``(..., dim)``."""
        return functional.normalize(self.linear(vectors).float(), dim=-1)

    @torch.no_grad()
    def fit_components(self, vectors: Tensor, *, power: float = 1.0) -> None:
        """Fit whitened principal components (Jégou and Chum, Negative evidences, 2012).

        Args:
            vectors: ``(n, width)``.
            power: power of the whitening: 0 keeps variances, 1 makes them equal.

        Raises:
            LearnError: there are fewer vectors than components.
        """
        self._check(vectors)
        x = vectors.double()
        mean = x.mean(dim=0)
        values, directions = torch.linalg.eigh((x - mean).T @ (x - mean) / len(x))
        dim = self.linear.out_features
        values, directions = values.flip(0)[:dim], directions.flip(1)[:, :dim]
        gains = (values.clamp(min=values[0] * 1e-9) / values[0]) ** (-power / 2)
        self._set((directions * gains).T, mean)

    @torch.no_grad()
    def fit_pairs(self, vectors: Tensor, labels: Tensor) -> None:
        """Fit a discriminative whitening from matching pairs.

        It whitens the differences of images of one label, then keeps the directions in which
        images of different labels differ most (Mikolajczyk and Matas, Improving Descriptors for
        Fast Tree Matching, 2007; used for pooled features by Radenović, Tolias and Chum, 2019).
        All pairs have equal weight. The covariance of matching pairs is shrunk by a thousandth
        towards an isotropic one, which the papers leave open.

        Args:
            vectors: ``(n, width)``.
            labels: ``(n,)``.

        Raises:
            LearnError: there are too few vectors, or no pair with one label.
        """
        self._check(vectors)
        x = vectors.double()
        mean = x.mean(dim=0)
        x = x - mean
        alike = torch.zeros(x.shape[1], x.shape[1], dtype=x.dtype, device=x.device)
        pairs = 0
        for label in torch.unique(labels):
            group = x[labels == label]
            alike += _pair_scatter(group)
            pairs += len(group) * (len(group) - 1)
        different = len(x) * (len(x) - 1) - pairs
        if not pairs or not different:
            raise LearnError(
                "whitening by pairs needs vectors of one label and of different labels; add some"
            )
        unlike = (_pair_scatter(x) - alike) / different
        alike = alike / pairs
        even = torch.eye(len(alike), dtype=x.dtype, device=x.device) * alike.diagonal().mean()
        alike = (1 - _SHRINKAGE) * alike + _SHRINKAGE * even
        values, directions = torch.linalg.eigh(alike)
        white = (directions * values.rsqrt()) @ directions.T
        _, directions = torch.linalg.eigh(white @ unlike @ white)
        dim = self.linear.out_features
        self._set(directions.flip(1)[:, :dim].T @ white, mean)

    def _check(self, vectors: Tensor) -> None:
        width, dim = self.linear.in_features, self.linear.out_features
        if vectors.ndim != 2 or vectors.shape[1] != width or len(vectors) < 2 or dim > width:
            raise LearnError(
                f"vectors {tuple(vectors.shape)} cannot be fitted to {dim} components of {width}; "
                f"pass (n, {width}) with n of two or more, and keep at most {width} components"
            )

    def _set(self, matrix: Tensor, mean: Tensor) -> None:
        # The sign of an eigenvector is arbitrary: fix it, so that two fits agree.
        largest = matrix.abs().argmax(dim=1, keepdim=True)
        matrix = matrix * matrix.gather(1, largest).sign()
        # Only directions matter; rows of length at most one fit half precision.
        matrix = matrix / matrix.norm(dim=1).max()
        self.linear.weight.copy_(matrix)
        self.linear.bias.copy_(-matrix @ mean)


def _pair_scatter(x: Tensor) -> Tensor:
    """Sum of the outer products of the differences of all ordered pairs with themselves."""
    total = x.sum(dim=0)
    return 2 * (len(x) * x.T @ x - torch.outer(total, total))
