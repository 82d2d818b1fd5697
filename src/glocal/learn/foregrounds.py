"""What fits into this place: foregrounds for a background with a box, by two distilled encoders."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError


def _trunk(channels: int, width: int) -> nn.Sequential:
    """Three strided convolutions, to ``(n, 4 width, h / 8, w / 8)``."""
    sizes = (channels, width, 2 * width, 4 * width)
    layers: list[nn.Module] = []
    for before, after in pairwise(sizes):
        layers += [nn.Conv2d(before, after, 3, 2, 1), nn.GroupNorm(4, after), nn.ReLU()]
    return nn.Sequential(*layers)


class _Encoder(nn.Module):
    """An image as one vector that keeps where things are: its last map, flattened and projected."""

    def __init__(self, channels: int, side: int, width: int, dim: int) -> None:
        super().__init__()
        self.trunk = _trunk(channels, width)
        self.project = nn.Linear(4 * width * (-(-side // 8)) ** 2, dim)

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.project(self.trunk(images).flatten(1))
        return found


class CompositeTeacher(nn.Module):
    """A discriminator: does the foreground fit, seen in the finished composite?

    Args:
        side: height and width of the images in pixels, a multiple of 8.
        width: channels of the first layer, a multiple of 4.
        dim: length of the composite feature.
    """

    def __init__(self, *, side: int = 32, width: int = 16, dim: int = 64) -> None:
        super().__init__()
        self.encoder = _Encoder(4, side, width, dim)
        self.compatibility = nn.Sequential(nn.Linear(dim, dim), nn.ReLU(), nn.Linear(dim, 1))

    def forward(self, composites: Tensor) -> tuple[Tensor, Tensor]:
        """Features ``(n, dim)`` and logits ``(n,)`` of composites.

        Args:
            composites: ``(n, 4, side, side)`` float32 in [0, 1]: RGB, and 1 inside the box.
        """
        feature = torch.relu(self.encoder(composites))
        return feature, self.compatibility(feature)[:, 0]


class ForegroundSearch(nn.Module):
    """Two encoders whose inner product says how well a foreground fits into a box.

    Zhang, Sui and Niu, Foreground Object Search by Distilling Composite Image Feature (DiscoFOS),
    ICCV 2023. A discriminator T sees each composite of a background b and a foreground f, and knows
    what fits, but has to see as many composites as there are foregrounds. The student encodes both
    alone, and the output of their interaction has to match the teacher's composite feature:

        L = BCE(s(b, f), y) + μ |A (E_b(b) ⊙ E_f(f)) - T(b ∘ f)|² + μ BCE(s(b, f), σ(logit of T)).

    Deviations: the interaction is the product of two vectors and s its sum, an inner product, so
    that an index of E_f answers; the paper keeps maps and compares each pair by a small network.
    The last term, and that the teacher is asked about pairs nobody has labelled, are glocal's. Both
    networks are small and trained from scratch. A toy: in its trial, on made scenes, the student
    is better than without the teacher and does not reach it: .46 to .63 of its mAP in the first
    three seeds, where .6 was asked for. One inner product has to say whether a direction and three
    colours are about equal, which a composite shows as an edge; 3,000 labelled pairs and as many
    guesses of the teacher again are few for that.

    Args:
        side: height and width of the images in pixels, a multiple of 8.
        width: channels of the first layer, a multiple of 4.
        dim: length of the vectors that are compared.
        teacher_dim: length of the teacher's feature.
    """

    name = "discofos"

    def __init__(
        self, *, side: int = 32, width: int = 16, dim: int = 64, teacher_dim: int = 64
    ) -> None:
        super().__init__()
        if side % 8 or width % 4 or min(side, width, dim, teacher_dim) < 1:
            raise LearnError(
                f"images of {side} pixels and {width} channels do not fit; give multiples of 8 and "
                "of 4, and lengths above 0"
            )
        self.background = _Encoder(4, side, width, dim)
        self.foreground = _Encoder(4, side, width, dim)
        self.matched = nn.Linear(dim, teacher_dim)
        self.bias = nn.Parameter(torch.zeros(()))

    def queries(self, backgrounds: Tensor) -> Tensor:
        """Vectors ``(n, dim)`` of backgrounds with a box.

        Args:
            backgrounds: ``(n, 4, side, side)`` float32 in [0, 1]: RGB, grey inside the box, and 1
                inside the box.
        """
        found: Tensor = self.background(backgrounds)
        return found

    def gallery(self, foregrounds: Tensor) -> Tensor:
        """Vectors ``(n, dim)`` of foregrounds, to be indexed.

        Args:
            foregrounds: ``(n, 4, side, side)`` float32 in [0, 1]: RGB and alpha.
        """
        found: Tensor = self.foreground(foregrounds)
        return found

    def forward(self, backgrounds: Tensor, foregrounds: Tensor) -> tuple[Tensor, Tensor]:
        """What pairs have for the teacher's feature ``(n, teacher_dim)``, and logits ``(n,)``."""
        both = self.queries(backgrounds) * self.gallery(foregrounds)
        return torch.relu(self.matched(both)), both.sum(dim=1) + self.bias

    def loss(
        self,
        backgrounds: Tensor,
        foregrounds: Tensor,
        fits: Tensor | None,
        taught: tuple[Tensor, Tensor] | None,
        *,
        weight: float = 1.0,
    ) -> Tensor:
        """The loss of pairs; see the class.

        Args:
            backgrounds: as in `queries`.
            foregrounds: as in `gallery`, as many.
            fits: ``(n,)`` float32, 1 where they fit; `None` where nobody knows.
            taught: features and logits of the teacher for the composites; `None` without one.
            weight: μ.

        Raises:
            LearnError: neither labels nor a teacher are given.
        """
        if fits is None and taught is None:
            raise LearnError("pairs without labels need a teacher; give fits, taught, or both")
        feature, logits = self(backgrounds, foregrounds)
        total = logits.new_zeros(())
        if fits is not None:
            total = total + functional.binary_cross_entropy_with_logits(logits, fits)
        if taught is not None:
            target, certain = taught
            total = total + weight * functional.mse_loss(feature, target.detach())
            total = total + weight * functional.binary_cross_entropy_with_logits(
                logits, torch.sigmoid(certain.detach())
            )
        return total  # type: ignore[no-any-return]  # of torch's own functions
