"""Product pages, videos and live streams in one space: a photo with text finds frames."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError

PAGE, VIDEO, STREAM = 0, 1, 2
"""Domains: a photo or several with a text, frames of a video, frames of a live stream."""

DOMAINS = ("page", "video", "stream")
TEMPERATURE = 0.07


class CrossDomainProducts(nn.Module):
    """One vector of whatever shows a product, from frozen vectors of its images and its text.

    Bai, Li, Zhang, Zhang, Jiang, Huang and Jin, Cross-Domain Product Representation Learning for
    Rich-Content E-Commerce (COPE), 2023. Images or frames v and a text t are embedded, a fusion
    transformer F joins them, and its first token z is the product's vector:

        z_d = F([c + e_d, W_v v_1, ..., W_v v_f, W_t t])

    with the same weights for each domain d (page, video, stream) but its embedding e. Training
    contrasts each pair of domains, in which the same product is right, and classifies products:
    ``L = Σ_{d < d'} (CE(z_d z_d'ᵀ / τ) + CE(z_d' z_dᵀ / τ)) + μ Σ_d CE(z_d Pᵀ / τ)``.

    Deviations: the encoders of images and texts are given and stay as they are, where the paper
    tunes them; a text is one vector, and any side may lack it. The output adds the mean of the
    embedded frames, so that it starts near what frozen vectors say. Trained here it is a toy; the
    class takes any encoders' vectors.

    Args:
        image_dim: length of the image encoder's vectors.
        text_dim: length of the text encoder's vectors.
        products: how many there are in training; 0: nothing is classified.
        dim: length of the vectors that are compared.
        layers: of the fusion transformer.
        heads: of its attention.
        dropout: share of numbers that are left out in training.
    """

    name = "cope"

    def __init__(
        self,
        image_dim: int,
        text_dim: int,
        *,
        products: int = 0,
        dim: int = 128,
        layers: int = 1,
        heads: int = 4,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        if min(image_dim, text_dim, dim, layers, heads) < 1 or products < 0 or dim % heads:
            raise LearnError(
                f"vectors of {image_dim} and {text_dim} numbers, {products} products, {layers} "
                f"layers and {heads} heads of a width of {dim} make no model; give numbers above "
                "0, and a width that the heads divide"
            )
        self.settings: dict[str, Any] = {
            "image_dim": image_dim, "text_dim": text_dim, "products": products, "dim": dim,
            "layers": layers, "heads": heads, "dropout": dropout,
        }  # fmt: skip
        self.image_dim, self.text_dim, self.dim = image_dim, text_dim, dim
        self.image = nn.Linear(image_dim, dim)
        self.text = nn.Linear(text_dim, dim)
        self.token = nn.Parameter(0.02 * torch.randn(dim))
        self.domains = nn.Parameter(0.02 * torch.randn(len(DOMAINS), dim))
        layer = nn.TransformerEncoderLayer(
            dim, heads, 2 * dim, dropout, "gelu", batch_first=True, norm_first=True
        )
        self.fusion = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.proxies = nn.Parameter(torch.randn(products, dim))

    def forward(
        self,
        domain: int,
        frames: Tensor,
        texts: Tensor | None = None,
        *,
        present: Tensor | None = None,
        said: Tensor | None = None,
    ) -> Tensor:
        """Vectors ``(b, dim)`` of unit length.

        Args:
            domain: `PAGE`, `VIDEO` or `STREAM`.
            frames: ``(b, f, image_dim)`` of the images or frames.
            texts: ``(b, text_dim)``; `None` where nothing has a text.
            present: ``(b, f)`` bool, `False` for padding; `None` where there is none. At least one
                frame of each has to be there.
            said: ``(b,)`` bool, `False` where one has no text.

        Raises:
            LearnError: the vectors have another length, the domain is unknown, or nothing is shown.
        """
        self._check(domain, frames, texts)
        batch, count = frames.shape[:2]
        if present is None:
            present = torch.ones(batch, count, dtype=torch.bool, device=frames.device)
        if not count or not bool(present.any(1).all()):
            raise LearnError("something has no frame, so that it shows nothing; leave it out")
        shown = self.image(functional.normalize(frames, dim=-1))
        tokens = [(self.token + self.domains[domain]).expand(batch, 1, -1), shown]
        absent = [present.new_zeros(batch, 1), ~present]
        if texts is not None:
            tokens.append(self.text(functional.normalize(texts, dim=-1))[:, None])
            absent.append(present.new_zeros(batch, 1) if said is None else ~said[:, None])
        out = self.fusion(torch.cat(tokens, 1), src_key_padding_mask=torch.cat(absent, 1))[:, 0]
        weights = present.to(shown.dtype)[..., None]
        mean = (shown * weights).sum(1) / weights.sum(1)
        return functional.normalize(out + mean, dim=-1)

    def loss(self, vectors: dict[int, Tensor], products: Tensor, *, weight: float = 1.0) -> Tensor:
        """The loss of a batch in which each domain shows the same products; see the class.

        Args:
            vectors: by domain, ``(b, dim)`` of unit length; two domains or three.
            products: ``(b,)`` int64, below the number of products where they are classified.
            weight: μ; nothing is classified without products.

        Raises:
            LearnError: there is one domain only.
        """
        if len(vectors) < 2:
            raise LearnError("there is one domain only; give vectors of at least two of a product")
        same = (products[:, None] == products).float()
        target = same / same.sum(1, keepdim=True)
        total = next(iter(vectors.values())).new_zeros(())
        for one, other in combinations(sorted(vectors), 2):
            logits = vectors[one] @ vectors[other].T / TEMPERATURE
            total = total + functional.cross_entropy(logits, target)
            total = total + functional.cross_entropy(logits.T, target)
        if len(self.proxies) and weight:
            proxies = functional.normalize(self.proxies, dim=-1)
            for each in vectors.values():
                logits = each @ proxies.T / TEMPERATURE
                total = total + weight * functional.cross_entropy(logits, products)
        return total

    def _check(self, domain: int, frames: Tensor, texts: Tensor | None) -> None:
        if domain not in range(len(DOMAINS)):
            raise LearnError(f"there is no domain {domain!r}; give 0 (page), 1 (video), 2 (stream)")
        if frames.ndim != 3 or frames.shape[-1] != self.image_dim:
            raise LearnError(
                f"frames are {tuple(frames.shape)}; give (b, f, {self.image_dim}), encoded by the "
                "image encoder that it was trained with"
            )
        if texts is not None and texts.shape != (len(frames), self.text_dim):
            raise LearnError(
                f"texts are {tuple(texts.shape)}; give ({len(frames)}, {self.text_dim}), encoded "
                "by the text encoder that it was trained with"
            )
