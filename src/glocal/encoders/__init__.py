"""From pixels to features: one vector for the whole picture and a handful of local parts."""

from glocal.encoders.card import Card
from glocal.encoders.detectors import DETECTORS, OWN, open_detector
from glocal.encoders.features import Features, LocalParts
from glocal.encoders.local_parts import (
    QUERY_SCALES,
    Detector,
    EncoderParts,
    parts_at_sizes,
)
from glocal.encoders.onnx import Encoder, OnnxEncoder
from glocal.encoders.registry import DEFAULT_MODEL, bundled_models, find_model, load_encoder

__all__ = [
    "DEFAULT_MODEL",
    "DETECTORS",
    "OWN",
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
    "open_detector",
    "parts_at_sizes",
]
