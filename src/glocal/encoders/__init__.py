"""From pixels to features: one vector for the whole picture and a handful of local parts."""

from glocal.encoders.card import Card
from glocal.encoders.features import Features
from glocal.encoders.local_parts import (
    QUERY_SCALES,
    Detector,
    EncoderParts,
    LocalParts,
    parts_at_sizes,
)
from glocal.encoders.onnx import Encoder, OnnxEncoder
from glocal.encoders.registry import DEFAULT_MODEL, bundled_models, find_model, load_encoder

__all__ = [
    "DEFAULT_MODEL",
    "QUERY_SCALES",
    "Card",
    "Detector",
    "Encoder",
    "EncoderParts",
    "Features",
    "LocalParts",
    "OnnxEncoder",
    "bundled_models",
    "find_model",
    "load_encoder",
    "parts_at_sizes",
]
