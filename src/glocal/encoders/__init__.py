"""From pixels to features: one vector for the whole image, and its local features."""

from glocal.encoders.card import Card
from glocal.encoders.detectors import OWN, open_detector
from glocal.encoders.features import Features, LocalFeatures
from glocal.encoders.local_features import (
    QUERY_SCALES,
    Detector,
    EncoderDetector,
    detect_at_scales,
)
from glocal.encoders.model_files import DEFAULT_MODEL, bundled_models, find_model, load_encoder
from glocal.encoders.onnx import Encoder, OnnxEncoder

__all__ = [
    "DEFAULT_MODEL",
    "OWN",
    "QUERY_SCALES",
    "Card",
    "Detector",
    "Encoder",
    "EncoderDetector",
    "Features",
    "LocalFeatures",
    "OnnxEncoder",
    "bundled_models",
    "detect_at_scales",
    "find_model",
    "load_encoder",
    "open_detector",
]
