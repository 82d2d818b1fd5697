"""An image and words that change it become one query, by a small trained network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError, MissingExtraError
from glocal.registry import install_command

SCALE = 100.0
"""By which cosines are multiplied in `combiner_loss`, as in CLIP."""


class Combiner(nn.Module):
    """Combines the vectors of an image and of words, of one image-text space, into a query of it.

    With ``p = [ReLU(W_t t); ReLU(W_v v)]`` the query is ``f(p) + σ(g(p)) t + (1 - σ(g(p))) v`` at
    unit length: a share of the words t, the rest of the image v, and what the networks f and g of
    one hidden layer have learnt about both together.

    Source: Baldrati, Bertini, Uricchio and Del Bimbo, Composed Image Retrieval using Contrastive
    Learning and Task-oriented CLIP-based Features, 2023.

    Deviations: it is smaller, since there are fewer triplets here; the last layer of f begins with
    zeros, so that it starts as a weighed sum; and the encoders are not tuned before.

    Args:
        dim: length of the vectors.
        projection: width of each of both projections.
        hidden: width of the hidden layers of f and g.
        dropout: share of numbers that are left out in training.
    """

    def __init__(
        self, dim: int, *, projection: int = 256, hidden: int = 512, dropout: float = 0.5
    ) -> None:
        super().__init__()
        if min(dim, projection, hidden) < 1 or not 0 <= dropout < 1:
            raise LearnError(
                f"a combiner needs widths of at least 1 and a dropout below 1, not {dim}, "
                f"{projection}, {hidden} and {dropout}"
            )
        self.dim = dim
        self.text = nn.Linear(dim, projection)
        self.image = nn.Linear(dim, projection)
        self.mixed = nn.Sequential(
            nn.Linear(2 * projection, hidden), nn.ReLU(), nn.Dropout(dropout)
        )
        self.output = nn.Linear(hidden, dim)
        self.share = nn.Sequential(
            nn.Linear(2 * projection, hidden), nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden, 1)
        )
        self.dropout = nn.Dropout(dropout)
        nn.init.zeros_(self.output.weight)
        nn.init.zeros_(self.output.bias)

    def forward(self, image: Tensor, text: Tensor) -> Tensor:
        """Queries ``(b, dim)`` of unit length.

        Args:
            image: ``(b, dim)`` of the images, of unit length.
            text: ``(b, dim)`` of the words, of unit length.
        """
        both = [
            self.dropout(functional.relu(project(each)))
            for project, each in ((self.text, text), (self.image, image))
        ]
        joined = torch.cat(both, dim=-1)
        share = torch.sigmoid(self.share(joined))
        query = self.output(self.mixed(joined)) + share * text + (1 - share) * image
        return functional.normalize(query, dim=-1)


def combiner_loss(queries: Tensor, targets: Tensor, labels: Tensor | None = None) -> Tensor:
    """Cross entropy of each query with the targets of its batch, of which its own is the right one.

    Args:
        queries: ``(b, dim)`` of unit length.
        targets: ``(b, dim)`` of unit length, the image that each query should find.
        labels: ``(b,)`` int64: targets of one label are right for one another's queries too; `None`
            where each is right for its own alone.
    """
    logits = SCALE * queries @ targets.T
    if labels is None:
        return functional.cross_entropy(logits, torch.arange(len(logits), device=logits.device))
    same = (labels[:, None] == labels).float()
    return functional.cross_entropy(logits, same / same.sum(dim=1, keepdim=True))


def export_combiner(combiner: Combiner, path: Path) -> None:
    """Write a combiner as ``combiner.onnx`` of an image-text pair, which ``glocal text`` takes.

    It takes ``image`` and ``text``, each ``(b, dim)``, and gives ``query`` ``(b, dim)``. The graph
    is written node by node: an exporter takes half a minute for it.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    try:
        from onnx import TensorProto, helper, numpy_helper
    except ImportError as error:
        raise MissingExtraError(
            f"exporting needs {error.name}: {install_command('glocal[learn]')}"
        ) from error
    layers = {
        "t": combiner.text,
        "v": combiner.image,
        "m": combiner.mixed[0],
        "o": combiner.output,
        "h": combiner.share[0],
        "g": combiner.share[3],
    }
    weights = {f"{name}.{kind}": tensor for name, layer in layers.items()
               for kind, tensor in layer.state_dict().items()}  # fmt: skip
    constants = [numpy_helper.from_array(each.numpy(), name) for name, each in weights.items()]
    constants.append(numpy_helper.from_array(np.array(1, np.float32), "one"))

    def linear(name: str, given: str, to: str) -> Any:
        inputs = [given, f"{name}.weight", f"{name}.bias"]
        return helper.make_node("Gemm", inputs, [to], transB=1)

    node = helper.make_node
    nodes = [
        linear("t", "text", "t"), node("Relu", ["t"], ["t+"]),
        linear("v", "image", "v"), node("Relu", ["v"], ["v+"]),
        node("Concat", ["t+", "v+"], ["p"], axis=1),
        linear("m", "p", "m"), node("Relu", ["m"], ["m+"]), linear("o", "m+", "o"),
        linear("h", "p", "h"), node("Relu", ["h"], ["h+"]), linear("g", "h+", "g"),
        node("Sigmoid", ["g"], ["share"]), node("Sub", ["one", "share"], ["rest"]),
        node("Mul", ["share", "text"], ["words"]), node("Mul", ["rest", "image"], ["shown"]),
        node("Add", ["words", "shown"], ["sum"]), node("Add", ["sum", "o"], ["long"]),
        node("LpNormalization", ["long"], ["query"], axis=1, p=2),
    ]  # fmt: skip
    image, text, query = (
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["b", combiner.dim])
        for name in ("image", "text", "query")
    )
    graph = helper.make_graph(nodes, "combiner", [image, text], [query], constants)
    opset = [helper.make_opsetid("", 17)]
    path.write_bytes(
        helper.make_model(graph, opset_imports=opset, ir_version=8).SerializeToString()
    )
