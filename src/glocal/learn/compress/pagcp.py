"""PAGCP: channels go layer by layer, as far as no task of the network loses more than allowed."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import ClassVar

from torch import nn

from glocal.errors import CompressError
from glocal.learn.compress.channels import ChannelGroups, ChannelPlan
from glocal.learn.compress.compressor import Compressor, Evidence, Losses, Saves, measured


class PerformanceAwareChannels(Compressor[ChannelPlan]):
    """Sequential greedy pruning under a tolerance of each task's loss.

    Groups of channels are ordered by how many operations hang on them, most first. Each in turn is
    pruned, conditioned on all that is pruned already, from the smallest filter norms upwards, to
    the largest share at which the loss of *every* task rises by less than the tolerance,
    ``max_t L_t(pruned) / L_t(before) ≤ 1 + θ``; what a group spares raises the losses that the next
    one is compared with. Further rounds allow more, ``θ_r = θ₀ (1 + growth)^r``, until the wanted
    number of operations is reached.

    Source: Ye, Zhang, Chen, Fan and Wang, Performance-aware Approximation of Global Channel Pruning
    for Multitask CNNs, 2023.

    Deviations: the rounds of `plan` follow each other without training between them, and end as
    soon as the goal is met; what is then spared beyond it is given back. `rounds` trains between
    them. The paper sets the tolerances and takes the operations that come of them. ``θ`` is the
    same for all groups of a round (the paper's ``λ = 1``), and no group is given back after a
    round.

    Args:
        tolerance: ``θ₀``, by which each loss may rise in a step of the first round.
        growth: by how much the tolerance grows from round to round.
        step: channels are tried in steps of this share of their group.
        most: largest share of a group that may be removed.
    """

    name = "pagcp"
    saves: ClassVar[Saves] = "channels"

    def __init__(
        self, tolerance: float = 0.02, growth: float = 1.0, step: float = 0.1, most: float = 0.9
    ) -> None:
        if tolerance <= 0 or growth <= 0 or not 0 < step < 1 or not 0 < most < 1:
            raise CompressError(
                "tolerance and growth have to be above 0, step and most in (0, 1), not "
                f"{tolerance!r}, {growth!r}, {step!r} and {most!r}"
            )
        self.tolerance, self.growth, self.step, self.most = tolerance, growth, step, most

    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> ChannelPlan:
        images, losses = measured(evidence, self.name)
        groups = ChannelGroups(model, images)
        search = _Search(model, groups, losses, goal=keep * groups.flops)
        tolerance = self.tolerance
        while search.flops > search.goal:
            for root in search.order:
                if search.flops > search.goal:
                    search.prune(root, tolerance, self.step, self.most)
            full = all(search.is_full(root, self.most) for root in search.order)
            if full and search.flops > search.goal:
                raise CompressError(
                    f"with {self.most:.0%} of each group removed, {search.flops / groups.flops:.1%}"
                    f" of the operations are left, not {keep:.1%}; keep more"
                )
            tolerance *= 1 + self.growth
        search.give_back()
        return ChannelPlan(search.removed, images[:1], search.flops / groups.flops)

    def rounds(
        self,
        model: nn.Module,
        keep: float,
        evidence: Evidence,
        train: Callable[[nn.Module], None],
        *,
        rounds: int = 4,
    ) -> nn.Module:
        """Remove channels in rounds and train after each, as the paper does.

        Each round keeps the same share of the operations that the one before left, so that the last
        one leaves the goal.

        Args:
            model: trained network, on the CPU; it is not changed.
            keep: share of the operations to keep at last, in (0, 1].
            evidence: images and losses.
            train: trains a smaller network in place; called after each round.
            rounds: how many, at least 1.

        Returns:
            The smaller network in evaluation mode, trained after the last round.

        Raises:
            CompressError: the goal is impossible or cannot be reached, or evidence is missing.
        """
        if rounds < 1:
            raise CompressError(f"rounds has to be at least 1, not {rounds!r}")
        groups = ChannelGroups(model, evidence.images)
        small, whole, left = model, groups.flops, 1.0
        for number in range(1, rounds + 1):
            goal = keep ** (number / rounds)  # of what the whole network does
            plan = self.plan(small, min(1.0, goal / left), evidence)
            small = plan.apply(small)
            left = ChannelGroups(small, evidence.images).flops / whole
            train(small)
            small.eval()
        return small


class _Search:
    """What is removed so far, and what the network still does."""

    def __init__(
        self, model: nn.Module, groups: ChannelGroups, losses: Losses, *, goal: float
    ) -> None:
        self.groups, self.goal, self._model, self._measure = groups, goal, model, losses
        self.removed: dict[str, list[int]] = {root: [] for root in groups.sizes}
        self.flops = groups.flops
        self._losses = list(losses(model))
        self._ranked = {
            root: groups.magnitudes(model, root).argsort(stable=True).tolist()
            for root in groups.sizes
        }
        left = {
            root: groups.remaining_flops({root: ranked[: max(1, len(ranked) // 3)]})
            for root, ranked in self._ranked.items()
        }
        self.order = sorted(left, key=lambda root: left[root])

    def is_full(self, root: str, most: float) -> bool:
        """Whether nothing more may be removed of a group."""
        return len(self.removed[root]) >= self._limit(root, most)

    def prune(self, root: str, tolerance: float, step: float, most: float) -> None:
        """Remove as many channels of a group as the tolerance and the goal allow."""
        size = self.groups.sizes[root]
        width = max(1, round(step * size))
        count, losses = len(self.removed[root]), self._losses
        while count < self._limit(root, most):
            tried = min(count + width, self._limit(root, most))
            found = self._losses_with(root, tried)
            rises = (new / max(old, 1e-12) for new, old in zip(found, self._losses, strict=True))
            if max(rises) > 1 + tolerance:
                break
            count, losses = tried, found
            if self._flops_with(root, count) <= self.goal:
                count = self._fewest(root, count)
                losses = self._losses_with(root, count)
                break
        self.removed[root] = sorted(self._ranked[root][:count])
        self.flops = self._flops_with(root, count)
        self._losses = [max(new, old) for new, old in zip(losses, self._losses, strict=True)]

    def give_back(self) -> None:
        """Keep removed channels again where the goal leaves room, the largest filters first.

        A channel of a residual sum takes several per cent of a small network with it, so that the
        last one removed can spare more than was asked for.
        """
        for root in reversed(self.order):
            while self.removed[root]:
                fewer = len(self.removed[root]) - 1
                flops = self._flops_with(root, fewer)
                if flops > self.goal:
                    break
                self.removed[root] = sorted(self._ranked[root][:fewer])
                self.flops = flops

    def _fewest(self, root: str, count: int) -> int:
        """The fewest channels of a group that reach the goal."""
        least = len(self.removed[root])
        while count - 1 > least and self._flops_with(root, count - 1) <= self.goal:
            count -= 1
        return count

    def _limit(self, root: str, most: float) -> int:
        return min(int(most * self.groups.sizes[root]), self.groups.sizes[root] - 1)

    def _with(self, root: str, count: int) -> dict[str, list[int]]:
        return {**self.removed, root: self._ranked[root][:count]}

    def _flops_with(self, root: str, count: int) -> int:
        return self.groups.remaining_flops(self._with(root, count))

    def _losses_with(self, root: str, count: int) -> list[float]:
        """Losses of a copy whose channels are masked; removing them computes the same."""
        masked = copy.deepcopy(self._model)
        self.groups.mask(masked, self._with(root, count))
        return list(self._measure(masked))
