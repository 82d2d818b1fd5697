"""The chain of alterations that turns an image into one view."""

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
    """Makes random views of images that look like second photos or shared copies of them.

    It follows Pizzi et al., A Self-Supervised Descriptor for Image Copy Detection (2022), but with
    mild crops, strong perspective and, by default, no mirroring: mirrored and heavily cropped
    views hurt the recognition of places.

    Args:
        side: side of the square views, in pixels.
        strength: scale of how much and how often everything changes; 0 only resizes.
        mirror: whether half of the views are mirrored.
        overlays: photos to paste over or under an image; none are pasted if it is empty.

    Raises:
        LearnError: side or strength are out of range.
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
            raise LearnError(f"the side of views has to be at least 1 pixel, not {side}")
        if not 0 <= strength <= 2:
            raise LearnError(f"the strength of augmentation has to be in [0, 2], not {strength}")
        self.side, self.strength = side, strength
        self._geometry = Geometry(side=side, mirror=mirror)
        self._overlays = tuple(overlays)
        self._steps = self._chain()

    def _chain(self) -> tuple[tuple[float, Step], ...]:
        """Probability and step, in the order in which steps are applied."""
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
            image: ``(h, w, 3)`` uint8 RGB of any size, or ``(h, w)`` or ``(h, w, 1)`` grey.
            rng: source of all random choices; the same state gives the same view.

        Returns:
            ``(side, side, 3)`` uint8.

        Raises:
            LearnError: the array has another shape or type.
        """
        view = self._geometry(_to_pil(image), rng, self.strength)
        for share, step in self._steps:
            if rng.random() < share * self.strength:
                view = step(view, rng, self.strength)
        return np.asarray(view)

    def _on_another(
        self, image: Image.Image, rng: np.random.Generator, strength: float
    ) -> Image.Image:
        path = self._overlays[int(rng.integers(len(self._overlays)))]
        ground = overlays.opened(path, image.size)
        if ground is None:
            return image
        return framing.image_in_image(image, ground, rng, strength)


def _to_pil(image: NDArray[np.uint8]) -> Image.Image:
    if image.ndim == 3 and image.shape[2] == 1:
        image = image[:, :, 0]
    grey = image.ndim == 2
    if image.dtype != np.uint8 or 0 in image.shape or not (grey or image.shape[2:] == (3,)):
        raise LearnError(
            f"augmentation takes non-empty (h, w, 3) uint8 images, not {image.shape} {image.dtype}"
        )
    return Image.fromarray(image).convert("RGB")
