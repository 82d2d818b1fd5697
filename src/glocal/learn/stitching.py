"""SN-Net: a small and a large encoder joined by stitches, and a choice between them at run time."""

from __future__ import annotations

import time
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.model import Model


class Stitched(nn.Module):
    """A stitchable network of two encoders (Pan, Cai and Zhuang, Stitchable Neural Networks, 2023).

    Both anchors are cut after each of their ``n`` stages. A stitch ``M_l``, a 1x1 convolution, maps
    the small one's feature map ``A_l`` after stage ``l`` to the large one's ``B_l``, whose stages
    then go on (from fast to slow)::

        F_l = head(large_n . ... . large_{l+1} . M_l . small_l . ... . small_1)

    It starts at the least-squares solution ``M_l = A_l^+ B_l`` by the Moore-Penrose inverse, from
    feature maps of some images, and all are then trained together, one random route in each step.
    Route 0 is the small encoder, route ``n`` the large one, and route ``r`` between them has
    ``n - r`` stages of the small one. All routes give vectors of one space.

    Deviations: stages are stitched and not blocks, since glocal's backbones are sequences of
        stages; a stitch has a bias. The small encoder ends in its own head; to have it speak the
        large one's space, `loss` ties all routes to the large encoder's vector, where the paper
        distils class probabilities.

    Args:
        small: the fast encoder, pretrained.
        large: the slow one, with as many stages, the same strides and the same length of vector.

    Raises:
        LearnError: the two do not fit together.
    """

    def __init__(self, small: Model, large: Model) -> None:
        super().__init__()
        strides = [[level.stride for level in each.backbone.levels] for each in (small, large)]
        if strides[0] != strides[1] or small.dim != large.dim:
            raise LearnError(
                f"encoders of strides {strides[0]} and {strides[1]} with vectors of {small.dim} "
                f"and {large.dim} cannot be stitched; both have to have the same of either"
            )
        if any(len(each.backbone.stages) != len(strides[0]) for each in (small, large)):
            raise LearnError(
                "a backbone whose stages do not give one feature map each cannot be stitched; "
                "use another"
            )
        self.small, self.large = small, large
        pairs = zip(small.backbone.levels[:-1], large.backbone.levels[:-1], strict=True)
        self.stitches = nn.ModuleList(nn.Conv2d(own.width, to.width, 1) for own, to in pairs)

    @property
    def routes(self) -> int:
        """Number of routes: the stitches and both anchors."""
        return len(self.stitches) + 2

    def forward(self, image: Tensor, route: int) -> Tensor:
        """Vectors ``(b, d)`` of images ``(b, 3, h, w)`` in [0, 1].

        Args:
            image: images.
            route: 0, the cheapest, to ``routes - 1``.

        Raises:
            LearnError: there is no such route.
        """
        if not 0 <= route < self.routes:
            raise LearnError(f"there are routes 0 to {self.routes - 1}, not {route}")
        if route == 0:
            return self.small(image).vector  # type: ignore[no-any-return]
        if route == self.routes - 1:
            return self.large(image).vector  # type: ignore[no-any-return]
        own = len(self.stitches) + 1 - route
        maps = self._stages(self.small, self.small.backbone.normalise(image), 0, own)
        stitched = self.stitches[own - 1](maps[-1])
        rest = self._stages(self.large, stitched, own, len(self.large.backbone.stages))
        # Heads pool the coarser maps; the finer ones stand before the switch point.
        return self.large.head([*maps[:-1], stitched, *rest]).vector  # type: ignore[no-any-return]

    @torch.no_grad()
    def fit(self, image: Tensor) -> None:
        """Set the stitches to the least-squares solution for images ``(b, 3, h, w)``."""
        self.eval()
        maps = zip(self.small.backbone(image), self.large.backbone(image), strict=True)
        for stitch, (own, to) in zip(self.stitches, maps, strict=False):
            a = own.permute(0, 2, 3, 1).flatten(0, 2).double()
            b = to.permute(0, 2, 3, 1).flatten(0, 2).double()
            shift_a, shift_b = a.mean(dim=0), b.mean(dim=0)
            solved = torch.linalg.pinv(a - shift_a) @ (b - shift_b)
            stitch.weight.copy_(solved.T[:, :, None, None])  # type: ignore[operator]
            stitch.bias.copy_(shift_b - shift_a @ solved)  # type: ignore[operator]

    def loss(self, image: Tensor, route: int, target: Tensor) -> Tensor:
        """How far a route's vectors are from those of the large encoder before the training.

        Args:
            image: ``(b, 3, h, w)``.
            route: the route, drawn at random for each step.
            target: ``(b, d)`` unit rows.
        """
        found = functional.normalize(self(image, route), dim=1)
        return (1 - (found * target).sum(dim=1)).mean()

    @torch.no_grad()
    def milliseconds(self, image: Tensor, *, repeats: int = 5) -> list[float]:
        """Least time of the processor that each route takes for these images."""
        self.eval()
        found = []
        for route in range(self.routes):
            times = []
            for _ in range(repeats):
                before = time.process_time()
                self(image, route)
                times.append(1000 * (time.process_time() - before))
            found.append(min(times))
        return found

    @staticmethod
    def _stages(model: Model, x: Tensor, first: int, last: int) -> list[Tensor]:
        found = []
        for stage in model.backbone.stages[first:last]:
            x = stage(x)
            found.append(x)
        return found


def choose_route(milliseconds: Sequence[float], budget: float) -> int:
    """The last route, and so the most exact one, that takes at most a budget of milliseconds.

    Args:
        milliseconds: of each route, as `Stitched.milliseconds` measures.
        budget: in the same unit.

    Raises:
        LearnError: not even the cheapest fits.
    """
    fitting = [route for route, cost in enumerate(milliseconds) if cost <= budget]
    if not fitting:
        raise LearnError(
            f"no route takes at most {budget:g} ms: the fastest takes {min(milliseconds):.2f} ms; "
            "use a larger budget, or smaller images"
        )
    return max(fitting)
