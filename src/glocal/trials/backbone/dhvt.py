"""Trained from scratch on a thousand digits, DHVT beats a plain vision transformer of its size."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.backbones.dhvt import DhvtS, DhvtT, DhvtTiny
from glocal.learn.contracts import Backbone, Level
from glocal.learn.cost import count_parameters
from glocal.trials import Claim, Lab
from glocal.trials.exporting import check_indexes
from glocal.trials.zoo import Classifier, fit, predicted

CLAIM = Claim(
    measured="accuracy on digits of DHVT, trained from scratch",
    baseline="accuracy of a plain vision transformer of the same width, depth, heads and patches",
    unit="per cent",
    comparison=">",
    margin=1.0,
    seeds=5,
)
_PUBLISHED = {DhvtT: 6.2e6, DhvtS: 23.8e6}


def method(lab: Lab) -> float:
    """Train DHVT's small preset."""
    torch.manual_seed(lab.seed)
    trunk = DhvtTiny()
    found = _accuracy(lab, trunk)
    if lab.seed == 0 and not lab.smoke:
        plain = count_parameters(PlainTransformer())
        lab.check("parameters in parts of the plain one's", count_parameters(trunk) / plain,
                  "<", 1.25)  # fmt: skip
        check_indexes(lab, DhvtTiny().eval())
        with torch.device("meta"):
            sizes = {kind: count_parameters(kind()) + (kind.width + 1) * 1000
                     for kind in _PUBLISHED}  # fmt: skip
        for kind, published in _PUBLISHED.items():
            name = f"{kind.__name__}: parameters in parts of the published"
            lab.check(name, sizes[kind] / published, "<", 1.02)
            lab.check(f"{kind.__name__}: again", sizes[kind] / published, ">", 0.98)
    return found


def baseline(lab: Lab) -> float:
    """Train the plain one."""
    torch.manual_seed(lab.seed)
    return _accuracy(lab, PlainTransformer())


class PlainTransformer(Backbone):
    """A vision transformer (Dosovitskiy et al., 2021) for images of 32x32 pixels."""

    def __init__(self) -> None:
        super().__init__()
        width, depth, heads, patch = DhvtTiny.width, DhvtTiny.depth, DhvtTiny.heads, DhvtTiny.patch
        self.embed = nn.Conv2d(3, width, patch, patch)
        self.position = nn.Parameter(torch.empty(1, width, 32 // patch, 32 // patch))
        nn.init.trunc_normal_(self.position, std=0.02)
        self.blocks = nn.Sequential(
            *(
                nn.TransformerEncoderLayer(
                    width, heads, 4 * width, 0.0, "gelu", batch_first=True, norm_first=True
                )
                for _ in range(depth)
            ),
            nn.LayerNorm(width),
        )
        self.stages = nn.ModuleList([self.embed, self.blocks])
        self.levels = (Level(patch, width, patch / 2),)

    def normalise(self, image: Tensor) -> Tensor:
        """From [0, 1] to [-1, 1]."""
        return image * 2 - 1

    def maps(self, pixels: Tensor) -> list[Tensor]:
        """The tokens of the last layer as a map."""
        cells = self.embed(pixels) + self.position
        tokens = self.blocks(cells.flatten(2).transpose(1, 2))
        return [tokens.transpose(1, 2).reshape(cells.shape)]


def _accuracy(lab: Lab, trunk: Backbone) -> float:
    data = lab.digits(32)
    model = Classifier(trunk, data.classes)
    fit(model, data.train, steps=lab.steps(100), seed=lab.seed, lr=1e-3)
    return data.test.accuracy(predicted(model, data.test.images))
