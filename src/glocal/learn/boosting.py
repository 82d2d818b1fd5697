"""Image-text matching in two branches: the second has to beat what the first has reached."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from glocal.errors import LearnError


def ranking_loss(scores: Tensor, same: Tensor, *, margin: float = 0.2) -> Tensor:
    """Bi-directional triplet loss with the hardest negative, which an anchor branch learns by.

    ``[m + s(i, t⁻) - s(i, t)]₊ + [m + s(i⁻, t) - s(i, t)]₊``, the mean over matched pairs.

    Source: Faghri, Fleet, Kiros and Fidler, VSE++: Improving Visual-Semantic Embeddings with Hard
    Negatives, 2018.

    Args:
        scores: ``(b, b)`` similarities of images, the rows, with texts; pairs on the diagonal.
        same: ``(b, b)`` bool: what is no negative since it shows the same thing.
        margin: by which a pair has to be nearer than others.
    """
    _check(scores, same)
    pairs = scores.diagonal()
    return _hardest(margin + scores - pairs[:, None], margin + scores - pairs, same)


class DeepBoosting(nn.Module):
    """The loss by which a target branch outdoes an anchor branch, pair by pair.

    The anchor branch's similarities s̃ become margins of the target branch's similarities s. With
    ``relative`` margins a matched pair has to be further ahead of its hardest negative than the
    anchor branch has it: ``[βm + (s̃(p) - s̃(n)) - (s(p) - s(n))]₊`` in both directions. With
    ``absolute`` ones matched pairs have to be nearer, ``[γβm + s̃(p) - s(p)]₊``, and hardest
    negatives farther, ``[(1 - γ)βm + s(n) - s̃(n)]₊``.

    Source: Diao, Zhang, Gao, Ruan and Lu, Deep Boosting Learning: A Brand-new Cooperative Approach
    for Image-Text Matching, 2024.

    Deviations: losses are means over pairs, not sums, so that they do not grow with the batch; what
    shows the same thing as a pair is no negative of it.

    Args:
        margin: m, that of the anchor branch.
        beta: by which it is multiplied.
        margins: ``relative`` or ``absolute``.
        gamma: share of the margin that is for matched pairs, of ``absolute``.
    """

    def __init__(
        self,
        *,
        margin: float = 0.2,
        beta: float = 1.0,
        margins: Literal["relative", "absolute"] = "relative",
        gamma: float = 0.5,
    ) -> None:
        super().__init__()
        if margins not in ("relative", "absolute") or not 0 <= gamma <= 1:
            raise LearnError(
                f"margins are {margins!r} and gamma {gamma}; give relative or absolute, and a "
                "share from 0 to 1"
            )
        self.margin, self.margins, self.gamma = margin * beta, margins, gamma

    def forward(self, scores: Tensor, anchor: Tensor, same: Tensor) -> Tensor:
        """The mean loss of the target branch.

        Args:
            scores: ``(b, b)`` similarities by the target branch; see `ranking_loss`.
            anchor: ``(b, b)`` by the anchor branch, which gets no gradient.
            same: ``(b, b)`` bool; see `ranking_loss`.
        """
        _check(scores, same)
        anchor = anchor.detach()
        pairs, before = scores.diagonal(), anchor.diagonal()
        if self.margins == "relative":
            of_rows = (before[:, None] - anchor) - (pairs[:, None] - scores)
            of_columns = (before - anchor) - (pairs - scores)
            return _hardest(self.margin + of_rows, self.margin + of_columns, same)
        nearer = (self.gamma * self.margin + before - pairs).clamp(min=0).mean()
        farther = (1 - self.gamma) * self.margin + scores - anchor
        return 2 * nearer + _hardest(farther, farther, same)


def _hardest(of_rows: Tensor, of_columns: Tensor, same: Tensor) -> Tensor:
    """The mean of what the worst negative of each row and of each column costs."""
    costs = [each.clamp(min=0).masked_fill(same, 0) for each in (of_rows, of_columns)]
    return costs[0].amax(dim=1).mean() + costs[1].amax(dim=0).mean()


def _check(scores: Tensor, same: Tensor) -> None:
    square = scores.ndim == 2 and scores.shape[0] == scores.shape[1]
    if not square or same.shape != scores.shape or same.dtype != torch.bool:
        raise LearnError(
            f"matching takes scores (b, b) and what is the same (b, b) bool, not "
            f"{tuple(scores.shape)} and {tuple(same.shape)} {same.dtype}"
        )
    if not bool(same.diagonal().all()):
        raise LearnError("each pair shows the same thing as itself; the diagonal has to be true")
