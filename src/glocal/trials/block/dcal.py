"""DCAL's pair-wise branch is gone at inference; its global-local branch against the plain ViT.

The network is a vision transformer of three layers on digits of 8 pixels, in patches of 2. With
DCAL, every layer is trained with a distractor as well, and salient cells attend once more after the
last; vectors of both are joined, as the authors do for re-identification.

It fails: over eight seeds the mean mAP of both is the same, and the differences go both ways. The
authors start from weights of ImageNet, and on images with many more cells than these 16.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.blocks.dcal import DualCrossAttention, rollout
from glocal.trials import Claim, Lab
from glocal.trials.zoo import fit, pixels

CLAIM = Claim(
    measured="mAP of digits by a vision transformer with dual cross-attention",
    baseline="mAP by the plain vision transformer, trained likewise",
    unit="points",
    comparison=">",
    margin=0.5,
    seeds=8,
)
_WIDTH, _LAYERS, _STEPS = 32, 3, 300


def method(lab: Lab) -> float:
    """Train with all branches; that the pair-wise one vanishes exactly."""
    if lab.seed == 0:
        _check_vanishes(lab)
    return _mean_ap(lab, _Transformer(dual=True))


def baseline(lab: Lab) -> float:
    """Train with self-attention alone."""
    return _mean_ap(lab, _Transformer(dual=False))


class _Transformer(nn.Module):
    def __init__(self, *, dual: bool) -> None:
        super().__init__()
        self.dual = dual
        self.patches = nn.Conv2d(3, _WIDTH, 2, 2)
        self.places = nn.Parameter(torch.randn(1, 16, _WIDTH) * 0.02)
        count = _LAYERS + dual
        self.attentions = nn.ModuleList(DualCrossAttention(_WIDTH) for _ in range(count))
        self.norms = nn.ModuleList(nn.LayerNorm(_WIDTH) for _ in range(count))
        self.feeds = nn.ModuleList(_feed() for _ in range(count))
        self.linears = nn.ModuleList(nn.Linear(_WIDTH, 10) for _ in range(1 + dual))

    def branches(self, image: Tensor) -> list[Tensor]:
        """Vectors of self-attention, of global-local and, in training, of pair-wise attention."""
        x = self.patches(image * 2 - 1).flatten(2).transpose(1, 2) + self.places
        mixed = x if self.dual and self.training else None
        seen = []
        for number in range(_LAYERS):
            attention, norm, feed = self.attentions[number], self.norms[number], self.feeds[number]
            normed = norm(x)
            if mixed is not None:
                mixed = mixed + attention.pairwise(norm(mixed), normed.roll(1, dims=0))
                mixed = mixed + feed(mixed)
            found, weights = attention.attend(normed)
            seen.append(weights)
            x = x + found
            x = x + feed(x)
        vectors = [x.mean(dim=1)]
        if self.dual:
            attention, norm, feed = self.attentions[-1], self.norms[-1], self.feeds[-1]
            response = rollout(seen).sum(dim=1).detach()
            chosen = attention.salient(response)[..., None]
            local = x + attention.global_local(norm(x), response)
            local = local + feed(local)
            vectors.append((local * chosen).sum(dim=1) / chosen.sum(dim=1))
        if mixed is not None:
            vectors.append(mixed.mean(dim=1))
        return vectors

    def vectors(self, image: Tensor) -> Tensor:
        return torch.cat([nn.functional.normalize(v, dim=1) for v in self.branches(image)], dim=1)

    def forward(self, image: Tensor) -> Tensor:
        """Scores of the classes; in training the branches' logarithms of shares are averaged."""
        found = self.branches(image)
        # Self- and pair-wise attention share their classifier, as they share all weights.
        layers = [self.linears[0], *self.linears[1:], self.linears[0]]
        scores = [layer(v).log_softmax(dim=1) for layer, v in zip(layers, found, strict=False)]
        return torch.stack(scores).mean(dim=0)


def _feed() -> nn.Module:
    return nn.Sequential(
        nn.LayerNorm(_WIDTH),
        nn.Linear(_WIDTH, 2 * _WIDTH),
        nn.GELU(),
        nn.Linear(2 * _WIDTH, _WIDTH),
    )


def _mean_ap(lab: Lab, model: _Transformer) -> float:
    data = lab.digits(8)
    fit(model, data.train, steps=lab.steps(_STEPS), seed=lab.seed)
    images = data.test.images
    with torch.no_grad():
        parts = [model.eval().vectors(pixels(part)) for part in (images[:225], images[225:])]
    return data.test.mean_ap(torch.cat(parts).numpy())


def _check_vanishes(lab: Lab) -> None:
    block = DualCrossAttention(16).double()
    x = torch.randn(4, 16, 5, 6, dtype=torch.float64)
    cells = x.flatten(2).transpose(1, 2)
    other = cells.roll(1, dims=0)
    gap = block.pairwise(cells, other) - block.attend(cells)[0]
    lab.check("change by the distractor in training", float(gap.abs().max()), ">", 1e-3)
    alone = torch.cat([block.eval()(one[None]) for one in x])
    lab.check("deviation of images in a batch from images alone at inference",
              float((block(x) - alone).abs().max()), "<", 1e-12)  # fmt: skip
    parameters = sum(p.numel() for p in block.parameters())
    lab.check("parameters beside those of two attentions", parameters - 2 * 4 * 16 * 17, "=", 0)
    own = block.pairwise(cells, cells) - block.attend(cells)[0]
    lab.check("change by an image as its own distractor", float(own.abs().max()), "<", 1e-12)
