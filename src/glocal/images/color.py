"""Convert decoded pixels of every mode to 8-bit sRGB."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from PIL import Image, ImageCms

# Reducing these averages colours; in the others a number is an index or does not fit in 8 bits.
_REDUCIBLE = frozenset(("L", "RGB", "RGBA", "RGBX", "CMYK", "LA", "YCbCr"))
_SPACES = {"RGB ": "RGB", "GRAY": "L", "CMYK": "CMYK"}
_LARGEST_PROFILE = 8 * 2**20


def to_srgb(image: Image.Image, factor: int = 1) -> NDArray[np.uint8]:
    """Convert a decoded PIL image of any mode to ``(h, w, 3)`` uint8 sRGB.

    Transparency is laid over white or, where the drawing would vanish on it, over black. 16-bit
    values lose their lower byte, and an ICC profile is applied unless it describes sRGB or is
    unusable.

    Args:
        image: A decoded image, which is not changed.
        factor: Side in pixels of the boxes that are averaged into one pixel, to save memory.
    """
    profile = image.info.get("icc_profile")
    if factor > 1 and image.mode in _REDUCIBLE and "transparency" not in image.info:
        image = _flatten(_reduced(image, factor))
    else:
        image = _flatten(image)
        image = _reduced(image, factor) if factor > 1 else image
    image = apply_profile(image, profile)
    if image.mode != "RGB":
        image = image.convert("RGB")
    return np.asarray(image, dtype=np.uint8)


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    from PIL import Image

    return Image.Image.reduce(image, factor)  # that of a JPEG 2000 is a number


def apply_profile(image: Image.Image, profile: object) -> Image.Image:
    """Convert an "L", "RGB" or "CMYK" image to sRGB by its ICC profile, if it has a usable one.

    A profile that is broken, or describes another colour space, is ignored: an image with slightly
    wrong colours can still be found, and a refused one cannot.
    """
    if not isinstance(profile, bytes) or not 128 <= len(profile) <= _LARGEST_PROFILE:
        return image
    from PIL import ImageCms

    try:
        transform = _transform(profile, image.mode)
        return image if transform is None else transform.apply(image)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError, RuntimeError):
        return image


@lru_cache(maxsize=16)  # cameras of a folder share a few profiles; a transform takes milliseconds
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    from PIL import ImageCms

    opened = ImageCms.ImageCmsProfile(io.BytesIO(profile))
    if _SPACES.get(opened.profile.xcolor_space) != mode:
        return None
    if (opened.profile.profile_description or "").startswith("sRGB"):
        return None
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return ImageCms.ImageCmsTransform(opened, srgb, mode, "RGB", ImageCms.Intent.PERCEPTUAL)


def _flatten(image: Image.Image) -> Image.Image:
    """Convert any mode to "L", "RGB" or "CMYK", with transparency laid over one shade."""
    if image.mode.startswith("I") or image.mode == "F":
        return _eight_bits(image)
    if image.has_transparency_data:
        return _over_backdrop(image)
    if image.mode in ("L", "RGB", "CMYK"):
        return image
    if image.mode == "1":
        return image.convert("L")
    if image.mode == "LAB":
        from PIL import ImageCms

        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
        srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
        return ImageCms.ImageCmsTransform(lab, srgb, "LAB", "RGB").apply(image)
    return image.convert("RGB")


def _over_backdrop(image: Image.Image) -> Image.Image:
    from PIL import Image

    if image.mode == "La":
        image = image.convert("LA")
    if image.mode != "RGBA":
        image = image.convert("RGBA")
    flat = Image.new("RGB", image.size, _backdrop(image))
    flat.paste(image, mask=image.getchannel("A"))
    return flat


def _backdrop(image: Image.Image) -> str:
    """White, as browsers show transparency, unless what is drawn is nearly white itself.

    Then white icons of any shape would all be the same empty image.

    Args:
        image: RGBA.
    """
    alpha = image.getchannel("A")
    if alpha.getextrema()[0] == 255:
        return "white"
    # Only what is visible counts: the colour under full transparency is arbitrary.
    seen = image.convert("L").histogram(alpha.point(lambda a: 255 if a >= _VISIBLE else 0))
    drawn = sum(seen)
    near_white = sum(seen[_NEAR_WHITE:])
    return "black" if drawn and near_white >= _ALL_BUT * drawn else "white"


_VISIBLE = 32  # opacity, of 255
_NEAR_WHITE = 224  # brightness that white hides
_ALL_BUT = 0.98  # of what is drawn


def _eight_bits(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image)
    if values.dtype.kind == "f":
        return Image.fromarray(_from_float(values))
    largest = int(values.max(initial=0))
    # 16 bits unless a value says otherwise: a dark 16-bit image is dark, not an 8-bit one.
    shift = max(largest.bit_length() - 8, 8)
    return Image.fromarray((np.maximum(values, 0) >> shift).astype(np.uint8))


def _from_float(values: NDArray[np.floating]) -> NDArray[np.uint8]:
    values = np.nan_to_num(values.astype(np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    largest = float(values.max(initial=0.0))
    # No format says what white is. 0 to 1 is the custom; above that, the usual integer ranges.
    white = next((w for w in (1.0, 255.0, 65535.0) if largest <= w), largest)
    scaled: NDArray[np.float32] = np.clip(values / np.float32(white), 0, 1) * 255 + 0.5
    return scaled.astype(np.uint8)
