"""The chain of alterations that makes one view of an image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glocal.errors import LearnError
from glocal.learn.augment import colour, focus, framing, lighting, overlays, recoding
from glocal.learn.augment.geometry import Geometry

Step = Callable[[Image.Image, np.random.Generator, float], Image.Image]


class Augmentation:
    """Makes random views of images, as second photos and passed-on copies of them look.

    In the manner of Pizzi et al., A Self-Supervised Descriptor for Image Copy Detection (2022),
    but with mild crops, strong perspective and, unless asked for, no mirroring: mirrored and
    heavily cropped views cost the recognition of places.

    Args:
        side: of the square views, in pixels.
        strength: scales how far and how often everything changes; 0 only resizes.
        mirror: whether every second view is mirrored.
        overlays: photos that may be pasted on, or lie under, an image; without any, none is.

    Raises:
        LearnError: side or strength make no sense.
    """

    def __init__(
        self,
        *,
        side: int,
        strength: float = 1.0,
        mirror: bool = False,
        overlays: Sequence[Path] = (),
    ) -> None:
        if side < 1:
            raise LearnError(f"views need a side of at least 1 pixel, not {side}")
        if not 0 <= strength <= 2:
            raise LearnError(f"the strength of augmentation is between 0 and 2, not {strength}")
        self.side, self.strength = side, strength
        self._geometry = Geometry(side=side, mirror=mirror)
        self._overlays = tuple(overlays)
        self._steps = self._chain()

    def _chain(self) -> tuple[tuple[float, Step], ...]:
        """How often, and what; in the order in which it befalls an image."""
        steps: list[tuple[float, Step]] = [(0.25, lighting.lit_unevenly)]
        if self._overlays:
            steps += [
                (0.1, overlays.PastedPhotos(self._overlays)),
                (0.1, self._on_another),
            ]
        return (
            *steps,
            (0.1, overlays.written_on),
            (0.08, overlays.stickered),
            (0.06, framing.framed),
            (0.06, framing.screenshot),
            (0.8, colour.recoloured),
            (0.35, focus.refocused),
            (0.25, focus.noisy),
            (0.4, recoding.recoded),
        )

    def __call__(self, image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
        """Make one view.

        Args:
            image: ``(h, w, 3)`` uint8 RGB, of any size; ``(h, w)`` and ``(h, w, 1)`` are grey.
            rng: decides on everything; the same state gives the same view.

        Returns:
            ``(side, side, 3)`` uint8.

        Raises:
            LearnError: the image is none.
        """
        picture = self._geometry(_image(image), rng, self.strength)
        for share, step in self._steps:
            if rng.random() < share * self.strength:
                picture = step(picture, rng, self.strength)
        return np.asarray(picture)

    def _on_another(
        self, image: Image.Image, rng: np.random.Generator, strength: float
    ) -> Image.Image:
        path = self._overlays[int(rng.integers(len(self._overlays)))]
        ground = overlays.opened(path, image.size)
        if ground is None:
            return image
        return framing.image_in_image(image, ground, rng, strength)


def _image(image: NDArray[np.uint8]) -> Image.Image:
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    grey = image.ndim == 2
    if image.dtype != np.uint8 or 0 in image.shape or not (grey or image.shape[2:] == (3,)):
        raise LearnError(
            f"augmentation takes (h, w, 3) uint8 images that are not empty, not {image.shape} "
            f"{image.dtype}"
        )
    return Image.fromarray(image).convert("RGB")
