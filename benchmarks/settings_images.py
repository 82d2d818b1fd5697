"""The images on which model_settings.py and local_settings.py compare settings.

Groceries come from the Grocery Store dataset. All others are photos of monuments in a Debian
package that nothing was fitted on. This module cannot be run by itself.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image, UnidentifiedImageError

from default_model import (
    ALTERATIONS,
    Labels,
    Pixels,
    altered,
    grocery_icons,
    grocery_split,
    scene_photos,
)

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from make_untrained_model import HELD_OUT, wallpapers

MONUMENTS = "gcompris-qt-data=3.1-2"
_RESOURCES = "explore_monuments.rcc"
_SMALLEST_PHOTO = 250  # pixels of the shorter side; less is a button of the game

Labelled = tuple[list[Path], Labels]


@dataclass(frozen=True, slots=True)
class Images:
    """Everything to encode, with its labels.

    Attributes:
        fitted: Grocery's training photos, less those that are held out.
        held_out: every eleventh of them, originals of the copies.
        monuments: originals that are not groceries.
        copies: one for each original, held-out photos first; then again, altered in another way.
        walls: the wallpapers of the fit.
    """

    fitted: Labelled
    held_out: Labelled
    monuments: list[Pixels]
    copies: list[Pixels]
    walls: list[Path]
    validation: Labelled
    test: Labelled
    icons: Labelled
    scenes: Labelled

    @property
    def originals(self) -> list[Path | Pixels]:
        """In the order of the copies."""
        return [*self.held_out[0], *self.monuments]


def read_images(data: Path, walls: list[Path], monuments: Path, step: int) -> Images:
    """Find, decode and alter the images.

    Args:
        data: with the folders ``grocery`` and ``scenes``.
        walls: folders with the wallpapers of the fit.
        monuments: folder with the unpacked package `MONUMENTS`.
        step: take every photo (1), every second (2) and so on of Grocery's training and test
            photos; no multiple of `HELD_OUT`.
    """
    grocery = data / "grocery"
    train = grocery_split(grocery, "train")
    numbers = range(0, len(train[0]), step)
    held_out = _chosen(train, [number for number in numbers if number % HELD_OUT == 0])
    (resources,) = monuments.rglob(_RESOURCES)
    photos = list(_packed_photos(resources.read_bytes()))
    originals: list[Path | Pixels] = [*held_out[0], *photos]
    test = grocery_split(grocery, "test")
    return Images(
        fitted=_chosen(train, [number for number in numbers if number % HELD_OUT]),
        held_out=held_out,
        monuments=photos,
        copies=[copy for seed in range(len(ALTERATIONS)) for copy in altered(originals, seed)],
        walls=wallpapers(walls),
        validation=grocery_split(grocery, "val"),
        test=_chosen(test, range(0, len(test[0]), step)),
        icons=grocery_icons(grocery),
        scenes=scene_photos(data / "scenes"),
    )


def _chosen(labelled: Labelled, numbers: Sequence[int]) -> Labelled:
    paths, labels = labelled
    return [paths[number] for number in numbers], [labels[number] for number in numbers]


def _packed_photos(resources: bytes) -> Iterator[Pixels]:
    """The WebP photos in a Qt resource file, which stores them as they are, one after another."""
    start = resources.find(b"RIFF")
    while start >= 0:
        size = int.from_bytes(resources[start + 4 : start + 8], "little") + 8
        try:
            with Image.open(BytesIO(resources[start : start + size])) as image:
                if image.mode == "RGB" and min(image.size) >= _SMALLEST_PHOTO:
                    yield np.asarray(image)
        except UnidentifiedImageError:
            pass  # sound, or the letters by chance
        start = resources.find(b"RIFF", start + 4)
