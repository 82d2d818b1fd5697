"""JPEG compression, as when images are shared."""

from __future__ import annotations

import numpy as np
import simplejpeg
from PIL import Image


def recoded(image: Image.Image, rng: np.random.Generator, strength: float) -> Image.Image:
    """Save an RGB image as JPEG and read it again; quality goes down to 20 at strength 1."""
    worst = max(5, round(95 - 75 * strength))
    quality = int(rng.integers(worst, 96))
    coded = simplejpeg.encode_jpeg(np.asarray(image), quality=quality, colorsubsampling="420")
    return Image.fromarray(simplejpeg.decode_jpeg(coded, fastdct=True, fastupsample=True))
