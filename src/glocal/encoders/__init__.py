"""From pixels to features: one vector for the whole picture and a handful of local parts."""

from glocal.encoders.card import Card
from glocal.encoders.features import Features
from glocal.encoders.onnx import Encoder, OnnxEncoder
from glocal.encoders.registry import DEFAULT_MODEL, bundled_models, find_model, load_encoder

__all__ = [
    "DEFAULT_MODEL",
    "Card",
    "Encoder",
    "Features",
    "OnnxEncoder",
    "bundled_models",
    "find_model",
    "load_encoder",
]
