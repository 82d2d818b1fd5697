"""The selective scan of state space models, and the routes on which a feature map is scanned."""

from __future__ import annotations

import torch
from torch import Tensor

ROUTES = ("rows", "columns", "rows backwards", "columns backwards")


def selective_scan(x: Tensor, step: Tensor, decay: Tensor, into: Tensor, out: Tensor) -> Tensor:
    """The discretised state space recurrence of Mamba (Gu and Dao, 2023).

    ``h_t = exp(step_t A) h_(t-1) + step_t B_t x_t`` and ``y_t = C_t h_t``, for each channel with a
    state of its own. It is computed in closed form over the whole sequence, without a loop: with
    ``S_t`` the running sum of ``step A``, ``y_t = sum over s <= t of C_t exp(S_t - S_s) step_s B_s
    x_s``. That takes memory that grows with the square of the length, which suits feature maps of a
    few hundred cells, and gives graphs for ONNX that fit any length.

    Args:
        x: ``(b, c, l)``.
        step: ``(b, c, l)``, greater than 0.
        decay: ``(c, n)``, the diagonal ``A``, less than 0.
        into: ``(b, n, l)``, ``B``.
        out: ``(b, n, l)``, ``C``.

    Returns:
        ``(b, c, l)``.
    """
    fading = step[:, :, None] * decay[None, :, :, None]  # (b, c, n, l)
    driven = (step * x)[:, :, None] * into[:, None]
    return (states(fading, driven) * out[:, None]).sum(dim=2)


def states(fading: Tensor, driven: Tensor) -> Tensor:
    """``h_t = exp(fading_t) h_(t-1) + driven_t`` along the last dimension, in closed form."""
    sums = fading.cumsum(dim=-1)
    apart = sums[..., :, None] - sums[..., None, :]  # of t and s
    places = torch.arange(sums.shape[-1], device=sums.device)
    later = places[:, None] < places[None, :]
    passed = apart.masked_fill(later, -torch.inf).exp()
    return (passed @ driven[..., None])[..., 0]


def along(x: Tensor, route: str) -> Tensor:
    """The cells of ``(b, c, h, w)`` in the order of a route, ``(b, c, h * w)``."""
    turned = x.transpose(2, 3) if route.startswith("columns") else x
    found = turned.flatten(2)
    return found.flip(-1) if route.endswith("backwards") else found


def back(sequence: Tensor, route: str, height: int, width: int) -> Tensor:
    """The feature map ``(b, c, height, width)`` of a sequence in the order of a route."""
    found = sequence.flip(-1) if route.endswith("backwards") else sequence
    if route.startswith("columns"):
        return found.reshape(*found.shape[:2], width, height).transpose(2, 3)
    return found.reshape(*found.shape[:2], height, width)
