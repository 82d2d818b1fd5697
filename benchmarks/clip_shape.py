"""A network of the shape of CLIP's ViT-B/32 image encoder, to compare speed with; needs torch.

Radford et al. 2021, "Learning Transferable Visual Models From Natural Language Supervision": 12
layers, width 768, 12 heads, patches of 32 pixels, an image of 224 x 224 as 50 tokens, projected
to 512 numbers. The weights are random, which takes the same time as trained ones.
``indexing_speed.py`` imports this module; it cannot be run by itself.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

SIDE = 224
_WIDTH, _HEADS, _LAYERS, _PATCH, _OUT = 768, 12, 12, 32, 512
_TOKENS = (SIDE // _PATCH) ** 2 + 1

Pixels = NDArray[np.float32]
Run = Callable[[Pixels], NDArray[np.float32]]


class _Block(nn.Module):
    """Attention and a perceptron, each on what a layer norm makes of its input."""

    def __init__(self) -> None:
        super().__init__()
        self.before_attention = nn.LayerNorm(_WIDTH)
        self.to_qkv = nn.Linear(_WIDTH, 3 * _WIDTH)
        self.from_heads = nn.Linear(_WIDTH, _WIDTH)
        self.before_mlp = nn.LayerNorm(_WIDTH)
        self.widen = nn.Linear(_WIDTH, 4 * _WIDTH)
        self.narrow = nn.Linear(4 * _WIDTH, _WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, _TOKENS, _HEADS, _WIDTH // _HEADS)
        q, k, v = (
            part.reshape(shape).transpose(1, 2)
            for part in self.to_qkv(self.before_attention(x)).split(_WIDTH, dim=-1)
        )
        mixed = nn.functional.scaled_dot_product_attention(q, k, v)
        x = x + self.from_heads(mixed.transpose(1, 2).reshape(-1, _TOKENS, _WIDTH))
        wide = self.widen(self.before_mlp(x))
        narrowed: Tensor = self.narrow(wide * torch.sigmoid(1.702 * wide))  # CLIP's own GELU
        return x + narrowed


class ClipShape(nn.Module):
    """``(n, 3, 224, 224)`` float32 pixels to ``(n, 512)`` vectors."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.patches = nn.Conv2d(3, _WIDTH, _PATCH, stride=_PATCH, bias=False)
        self.first_token = nn.Parameter(0.02 * torch.randn(1, 1, _WIDTH))
        self.positions = nn.Parameter(0.02 * torch.randn(1, _TOKENS, _WIDTH))
        self.before = nn.LayerNorm(_WIDTH)
        self.blocks = nn.Sequential(*(_Block() for _ in range(_LAYERS)))
        self.after = nn.LayerNorm(_WIDTH)
        self.project = nn.Linear(_WIDTH, _OUT, bias=False)

    def forward(self, pixels: Tensor) -> Tensor:
        tokens = self.patches(pixels).flatten(2).transpose(1, 2)
        x = torch.cat([self.first_token.expand(pixels.shape[0], -1, -1), tokens], dim=1)
        x = self.blocks(self.before(x + self.positions))
        vectors: Tensor = self.project(self.after(x[:, 0]))
        return vectors


def on_torch(model: ClipShape) -> Run:
    """The network on torch, with one thread to a call."""
    torch.set_num_threads(1)

    def run(pixels: Pixels) -> NDArray[np.float32]:
        with torch.inference_mode():
            return np.asarray(model(torch.from_numpy(pixels)))

    return run


def on_onnx_runtime(model: ClipShape, file: Path) -> Run:
    """The same network, exported, on ONNX Runtime with one thread to a call.

    SystemExit when the two do not agree.
    """
    import onnxruntime

    example = torch.randn(2, 3, SIDE, SIDE)
    axes = {"pixels": {0: torch.export.Dim("count", min=1, max=64)}}
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it misses torchvision
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch's, of its own old ways
        torch.onnx.export(model, (example,), file, dynamo=True, dynamic_shapes=axes, verbose=False)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    name = session.get_inputs()[0].name

    def run(pixels: Pixels) -> NDArray[np.float32]:
        return np.asarray(session.run(None, {name: pixels})[0])

    for count in (1, 2):
        pixels = example[:count].numpy()
        apart = float(np.abs(run(pixels) - on_torch(model)(pixels)).max())
        if apart > 1e-3:
            raise SystemExit(f"ONNX Runtime and torch disagree by {apart:.4f}: no fair comparison")
    return run
