"""SN-Net: a small and a large encoder joined by stitches; each route through both is an encoder."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Backbone
from glocal.learn.heads.pooled import Pooled
from glocal.learn.heads.whitening import Whitening
from glocal.learn.model import Model

_RIDGE = 1e-3  # of the trace: a pooled vector may have more numbers than there are images


class Stitched(nn.Module):
    """A stitchable network of two encoders (Pan, Cai and Zhuang, Stitchable Neural Networks, 2023).

    Both anchors are cut after each of their ``n`` stages. A stitch ``M_l``, a 1x1 convolution, maps
    the small one's feature map ``A_l`` after stage ``l`` to the large one's ``B_l``, whose stages
    then go on (from fast to slow)::

        F_l = head(large_n . ... . large_{l+1} . M_l . small_l . ... . small_1)

    It starts at the least-squares solution ``M_l = A_l^+ B_l`` by the Moore-Penrose inverse, from
    feature maps of some images, and all are then trained together, one random route in each step.
    Route 0 is the small encoder, route ``n`` the large one, and route ``r`` between them has
    ``n - r`` stages of the small one. All routes give vectors of one space. Local features of every
    route are the large encoder's, computed from stitched maps, so that they can be compared too.

    Deviations: stages are stitched and not blocks, since glocal's backbones are sequences of
        stages; a stitch has a bias. The small encoder ends in its own head, whose projection starts
        as the ridge regression of the large one's vector; `loss` ties all routes to that vector,
        where the paper distils class probabilities.

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
        for each in (small, large):
            in_stages = len(each.backbone.stages) == len(strides[0])
            if not in_stages or type(each.backbone).maps is not Backbone.maps:
                raise LearnError(
                    f"the stages of the backbone {type(each.backbone).__name__} do not give one "
                    "feature map each, so that it cannot be stitched; use another"
                )
            if not isinstance(each.head, Pooled):
                raise LearnError(
                    f"the head {type(each.head).__name__} does not pool the coarsest feature map "
                    "alone, so that its encoder cannot be stitched; use one that does, such as gem"
                )
        self.small, self.large = small, large
        pairs = zip(small.backbone.levels[:-1], large.backbone.levels[:-1], strict=True)
        self.stitches = nn.ModuleList(nn.Conv2d(own.width, to.width, 1) for own, to in pairs)

    @property
    def routes(self) -> int:
        """Number of routes: the stitches and both anchors."""
        return len(self.stitches) + 2

    @property
    def head(self) -> nn.Module:
        """The large encoder's head, in which all routes but the first end."""
        return self.large.head

    def names(self) -> tuple[str, ...]:
        """A name for each route: ``switch-2`` goes over to the large encoder after two stages."""
        between = [f"switch-{self._own(route)}" for route in range(1, self.routes - 1)]
        return ("small", *between, "large")

    def model(self, route: int) -> Model:
        """A route as an encoder of its own, which shares its weights with this network.

        Args:
            route: 0, the cheapest, to ``routes - 1``.

        Raises:
            LearnError: there is no such route.
        """
        if not 0 <= route < self.routes:
            raise LearnError(f"there are routes 0 to {self.routes - 1}, not {route}")
        if route == self.routes - 1:
            return self.large
        head = self.large.head if route else self.small.head
        trunk = _Route(
            self.small.backbone, self.large.backbone, list(self.stitches), self._own(route)
        )
        return Model(trunk, head, self.large.cells).train(self.training)

    def forward(self, image: Tensor, route: int) -> Tensor:
        """Vectors ``(b, d)`` of images ``(b, 3, h, w)`` in [0, 1].

        Args:
            image: images.
            route: 0, the cheapest, to ``routes - 1``.

        Raises:
            LearnError: there is no such route.
        """
        return self.model(route)(image).vector  # type: ignore[no-any-return]

    @torch.no_grad()
    def fit(self, batches: Iterable[Tensor]) -> None:
        """Set the stitches to the least-squares solution, and then evaluation mode.

        The small encoder's projection becomes a ridge regression where that is nearer to the large
        one's vectors than what it has learned.

        Args:
            batches: images, ``(b, 3, h, w)`` each; a few hundred in all.
        """
        self.eval()
        sums = [_Regression() for _ in self.stitches]
        pooled, vectors = [], []
        for image in batches:
            own, to = self.small.backbone(image), self.large.backbone(image)
            for each, a, b in zip(sums, own, to, strict=False):
                each.add(_rows(a), _rows(b))
            head = self.small.head
            assert isinstance(head, Pooled)  # noqa: S101 - checked when it was made
            pooled.append(head.pooled(own).cpu())
            vectors.append(self.large.head(to).vector.cpu())
        for stitch, each in zip(self.stitches, sums, strict=True):
            weight, bias = each.solve()
            stitch.weight.copy_(weight[:, :, None, None])  # type: ignore[operator]
            stitch.bias.copy_(bias)  # type: ignore[operator]
        whitening = self.small.head.whitening
        if isinstance(whitening, Whitening):
            _fit_projection(whitening.linear, torch.cat(pooled), torch.cat(vectors))

    def loss(self, image: Tensor, route: int, target: Tensor) -> Tensor:
        """How far a route's vectors are from those of the large encoder before the training.

        Args:
            image: ``(b, 3, h, w)``.
            route: the route, drawn at random for each step.
            target: ``(b, d)`` unit rows.
        """
        found = functional.normalize(self(image, route), dim=1)
        return (1 - (found * target).sum(dim=1)).mean()

    def _own(self, route: int) -> int:
        """Number of stages of the small encoder in a route that is not the last."""
        return len(self.stitches) + 1 - route


class _Route(Backbone):
    """Some stages of the small encoder, a stitch, and the others of the large one.

    Feature maps before the switch are stitched too, for whatever reads them: all maps look like the
    large encoder's. Without any stage of the large one the coarsest map stays the small one's.
    """

    def __init__(
        self, small: Backbone, large: Backbone, stitches: Sequence[nn.Module], own: int
    ) -> None:
        super().__init__()
        whole = own == len(small.stages)
        self.levels = (*large.levels[:-1], small.levels[-1]) if whole else large.levels
        self.stages = nn.ModuleList([*small.stages[:own], *large.stages[own:]])
        self.stitches = nn.ModuleList(stitches[:own])
        self._own = own
        self._small = (small,)  # only for its normalisation: its other stages are no part of this

    def normalise(self, image: Tensor) -> Tensor:
        return self._small[0].normalise(image)

    def maps(self, pixels: Tensor) -> list[Tensor]:
        found = []
        for number, stage in enumerate(self.stages):
            pixels = stage(pixels)
            if number < len(self.stitches):
                found.append(self.stitches[number](pixels))
                pixels = found[-1] if number == self._own - 1 else pixels
            else:
                found.append(pixels)
        return found

    def train(self, mode: bool = True) -> _Route:
        """Stages keep the mode that the encoders they belong to are in: some may be frozen."""
        self.training = mode
        return self


@dataclass(slots=True)
class _Regression:
    """Sums over rows from which a linear map with a bias is solved, in double precision."""

    count: int = 0
    sum_a: Tensor = field(default_factory=lambda: torch.zeros(()))
    sum_b: Tensor = field(default_factory=lambda: torch.zeros(()))
    square: Tensor = field(default_factory=lambda: torch.zeros(()))
    cross: Tensor = field(default_factory=lambda: torch.zeros(()))

    def add(self, a: Tensor, b: Tensor) -> None:
        """Add rows ``(n, i)`` and what they should be mapped to, ``(n, o)``."""
        a, b = a.double().cpu(), b.double().cpu()
        self.count += len(a)
        self.sum_a = self.sum_a + a.sum(dim=0)
        self.sum_b = self.sum_b + b.sum(dim=0)
        self.square = self.square + a.T @ a
        self.cross = self.cross + a.T @ b

    def solve(self, *, ridge: float = 0.0) -> tuple[Tensor, Tensor]:
        """Weight ``(o, i)`` and bias ``(o,)``; `ridge` is a share of the trace."""
        mean_a, mean_b = self.sum_a / self.count, self.sum_b / self.count
        square = self.square - self.count * torch.outer(mean_a, mean_a)
        cross = self.cross - self.count * torch.outer(mean_a, mean_b)
        square = square + ridge * square.trace() * torch.eye(len(square), dtype=square.dtype)
        weight = (torch.linalg.pinv(square, hermitian=True) @ cross).T
        return weight.float(), (mean_b - weight @ mean_a).float()


def _fit_projection(linear: nn.Linear, rows: Tensor, vectors: Tensor) -> None:
    """Map rows ``(n, i)`` to the directions of vectors ``(n, o)``, unless that is no better."""
    last = _Regression()
    last.add(rows, vectors)
    weight, bias = last.solve(ridge=_RIDGE)
    fitted = functional.cosine_similarity(rows @ weight.T + bias, vectors).mean()
    known = functional.cosine_similarity(
        functional.linear(rows, linear.weight.cpu(), linear.bias.cpu()), vectors
    ).mean()
    if fitted > known:
        linear.weight.copy_(weight)
        linear.bias.copy_(bias)


def _rows(feature_map: Tensor) -> Tensor:
    """The cells of ``(b, c, h, w)`` as rows ``(n, c)``."""
    return feature_map.permute(0, 2, 3, 1).flatten(0, 2)
