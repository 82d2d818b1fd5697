"""What a compressor of networks is: it plans what is kept, and the plan makes a smaller copy."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, Literal, TypeVar

from torch import Tensor, nn

from glocal.errors import CompressError
from glocal.registry import load, part

Losses = Callable[[nn.Module], Sequence[float]]
"""Losses of a network in evaluation mode, one for each of its tasks, on data of its own."""
Saves = Literal["weights", "channels"]


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """What a compressor that is not data-free may look at.

    Attributes:
        images: ``(b, 3, h, w)`` float, inputs of the network; operations are counted at this size.
        losses: measures a network; None where a compressor needs none.
    """

    images: Tensor
    losses: Losses | None = None


class Plan(ABC):
    """What is kept of one network.

    Attributes:
        kept: share of what the compressor counts that is kept, in (0, 1].
    """

    kept: float

    @abstractmethod
    def apply(self, model: nn.Module) -> nn.Module:
        """A smaller copy of the network that was planned for; the network itself is not changed."""

    @abstractmethod
    def masked(self, model: nn.Module) -> nn.Module:
        """A copy of the same shapes that computes what the smaller one does, by zeros."""


PlanT = TypeVar("PlanT", bound=Plan)


class Compressor(ABC, Generic[PlanT]):
    """Plans how a network is made smaller; a subclass writes only the method.

    Its keyword arguments, if any, say how to plan.

    Attributes:
        name: its name in the registry.
        saves: ``weights``: single weights become zero, counted of all weights of convolutions and
            linear layers; shapes and speed stay. ``channels``: channels are removed, counted are
            the operations of one pass; the network becomes smaller and faster.
        data_free: whether it plans without `Evidence`.
    """

    name: ClassVar[str]
    saves: ClassVar[Saves]
    data_free: ClassVar[bool] = False

    def plan(self, model: nn.Module, keep: float, evidence: Evidence | None = None) -> PlanT:
        """Decide what is kept.

        Args:
            model: trained network, on the CPU; it is not changed.
            keep: share to keep, in (0, 1], of what `saves` says; `Plan.kept` says what was reached.
            evidence: what to look at; not needed where `data_free`.

        Raises:
            CompressError: the goal is impossible or cannot be reached, or evidence is missing.
        """
        if not 0 < keep <= 1:
            raise CompressError(f"the share to keep has to be in (0, 1], not {keep!r}")
        if evidence is None and not self.data_free:
            raise CompressError(
                f"the compressor {self.name!r} looks at data; pass evidence, or use one with the "
                "trait data-free"
            )
        training = model.training
        try:
            return self._plan(model.eval(), keep, evidence)
        finally:
            model.train(training)

    @abstractmethod
    def _plan(self, model: nn.Module, keep: float, evidence: Evidence | None) -> PlanT:
        """Decide for a network in evaluation mode; it has to be as it was afterwards."""


def measured(evidence: Evidence | None, name: str) -> tuple[Tensor, Losses]:
    """The images and the losses of evidence that needs both.

    Raises:
        CompressError: there are no losses.
    """
    if evidence is None or evidence.losses is None:
        raise CompressError(f"the compressor {name!r} measures losses; pass Evidence(losses=...)")
    return evidence.images, evidence.losses


def make_compressor(name: str, **settings: Any) -> Compressor[Any]:
    """A compressor of networks by its name in the registry.

    Args:
        name: such as ``pagcp``; `glocal.registry.names("compressor", without="vectors")` lists
            them.
        settings: keyword arguments of its class.

    Raises:
        PartError: there is none of that name.
        CompressError: it is for vectors, or has no such setting.
        MissingExtraError: it needs a package that is not installed.
    """
    if "vectors" in part("compressor", name).traits:
        raise CompressError(
            f"the compressor {name!r} shortens vectors; use glocal.compress.make_vector_compressor"
        )
    try:
        made = load("compressor", name)(**settings)
    except TypeError as error:
        raise CompressError(f"the compressor {name!r} cannot be made so: {error}") from error
    if not isinstance(made, Compressor):
        raise CompressError(
            f"the compressor {name!r} is a {type(made).__name__}, which does not derive from "
            "glocal.learn.compress.Compressor; update or remove the package that has it"
        )
    return made
