"""CBNetV2: two identical backbones, one of which feeds the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError
from glocal.learn.contracts import Backbone, Level
from glocal.learn.receptive import measured_offsets
from glocal.registry import part


class CompositeBackbone(Backbone):
    """CBNetV2 (Liang et al., CBNet: A Composite Backbone Network Architecture, 2022).

    Two backbones start from the same weights. An assisting one computes its maps ``a_j``; the
    leading one adds, before each of its stages but the first, what all equal and later stages of
    the assistant have to say (dense higher-level composition):
    ``x_i = F_i(x_(i-1) + sum_(j >= i) up(w_j(a_j)))``, where ``w_j`` is a 1x1 convolution with
    batch normalisation, and ``up`` the nearest enlargement. The output is the leading one's.

    Deviations: two backbones, where the paper has up to three; compositions start at zero, so that
    the composite starts as one of its backbones; the assistant has no loss of its own.

    Args:
        weights: those of both backbones; see the class of `backbone`.
        backbone: registered name of the backbone that is doubled.

    Raises:
        LearnError: the backbone computes its maps at once and not stage by stage.
    """

    def __init__(self, *, weights: str = "imagenet", backbone: str = "efficientnet-lite0") -> None:
        super().__init__()
        made = part("backbone", backbone).load()
        if made.maps is not Backbone.maps:
            raise LearnError(
                f"{backbone} computes its maps at once, so nothing can be added between its "
                "stages; use another backbone, such as efficientnet-lite0"
            )
        assistant, lead = made(weights=weights), made(weights=weights)
        lead.load_state_dict(assistant.state_dict())
        self.levels = lead.levels
        self._normalise = made.normalise
        self.stages = nn.ModuleList(
            _Stage(assistant.stages[number], lead.stages[number], _links(lead.levels, number))
            for number in range(len(lead.stages))
        )
        for name, value in lead.named_buffers(recurse=False):
            self.register_buffer(name, value, persistent=False)
        self.levels = tuple(  # enlarged maps of the assistant move the centres a little
            replace(level, offset=offset)
            for level, offset in zip(lead.levels, measured_offsets(self), strict=True)
        )

    @classmethod
    def tiny(cls) -> CompositeBackbone:
        """The preset for small data: two of `densenet-tiny`."""
        return cls(weights="none", backbone="densenet-tiny")

    @property
    def links(self) -> nn.ModuleList:
        """The compositions of all stages, what the two backbones do not have by themselves."""
        return nn.ModuleList(stage.get_submodule("links") for stage in self.stages)

    def normalise(self, image: Tensor) -> Tensor:
        """As the backbone does."""
        pixels: Tensor = self._normalise(self, image)
        return pixels

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """Compute the leading backbone's feature maps."""
        assisting, x = [], pixels
        for stage in self.stages:
            x = stage.get_submodule("assistant")(x)
            assisting.append(x)
        found, x = [], pixels
        for number, stage in enumerate(self.stages):
            x = stage(x, assisting[number:])
            found.append(x)
        return found


class _Stage(nn.Module):
    """A stage of both backbones, and the compositions before the leading one's."""

    def __init__(self, assistant: nn.Module, lead: nn.Module, links: nn.ModuleList) -> None:
        super().__init__()
        self.assistant, self.lead, self.links = assistant, lead, links

    def forward(self, x: Tensor, assisting: Sequence[Tensor]) -> Tensor:
        for link, higher in zip(self.links, assisting, strict=False):
            x = x + functional.interpolate(link(higher), x.shape[2:], mode="nearest")
        found: Tensor = self.lead(x)
        return found


def _links(levels: Sequence[Level], number: int) -> nn.ModuleList:
    """Compositions of the assistant's stages from this one on; none before the first."""
    if number == 0:
        return nn.ModuleList()
    width = levels[number - 1].width
    links = []
    for level in levels[number:]:
        norm = nn.BatchNorm2d(width)
        nn.init.zeros_(norm.weight)
        links.append(nn.Sequential(nn.Conv2d(level.width, width, 1, bias=False), norm))
    return nn.ModuleList(links)
