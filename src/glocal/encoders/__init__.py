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
from glocal.encoders.regions import (
    COARSE,
    FINE,
    NO_REGIONS,
    REGION_CHOICES,
    Regions,
    RegionSettings,
    region_settings,
)

__all__ = [
    "COARSE",
    "DEFAULT_MODEL",
    "FINE",
    "NO_REGIONS",
    "OWN",
    "QUERY_SCALES",
    "REGION_CHOICES",
    "Card",
    "Detector",
    "Encoder",
    "EncoderDetector",
    "Features",
    "LocalFeatures",
    "OnnxEncoder",
    "RegionSettings",
    "Regions",
    "bundled_models",
    "detect_at_scales",
    "find_model",
    "load_encoder",
    "open_detector",
    "region_settings",
]
