"""Photos to try glocal on without a download, and altered copies of them.

The photos are in the wheels of the packages scikit-image and scikit-learn, which name their authors
and licences (``skimage.data`` and ``sklearn/datasets/images/README.txt``). glocal ships none of
them. They are read as files: neither package is imported, and nothing is downloaded.
"""

from __future__ import annotations

import importlib.util
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from glocal.cli import demo_reshoot as reshoot
from glocal.errors import ImageError, MissingExtraError, install_command

_PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

# The file to write for each photo, and the package and file it comes from. Other images in those
# packages are left out: drawings, masks, colour charts, an image of 102 pixels.
_PHOTOS = {
    "nature/cat.png": ("skimage", "data/chelsea.png"),
    "nature/dahlia.jpg": ("sklearn", "datasets/images/flower.jpg"),
    "paper/formulas.png": ("skimage", "data/text.png"),
    "paper/printed-page.png": ("skimage", "data/page.png"),
    "people/astronaut.png": ("skimage", "data/astronaut.png"),
    "people/cameraman.png": ("skimage", "data/camera.png"),
    "places/pagoda.jpg": ("sklearn", "datasets/images/china.jpg"),
    "places/rocket-on-its-pad.jpg": ("skimage", "data/rocket.jpg"),
    "science/retina.jpg": ("skimage", "data/retina.jpg"),
    "science/stained-tissue.png": ("skimage", "data/ihc.png"),
    "space/hubble-deep-field.jpg": ("skimage", "data/hubble_deep_field.jpg"),
    "space/moon.png": ("skimage", "data/moon.png"),
    "surfaces/brick-paving.png": ("skimage", "data/brick.png"),
    "surfaces/grass.png": ("skimage", "data/grass.png"),
    "surfaces/gravel.png": ("skimage", "data/gravel.png"),
    "things/ancient-coins.png": ("skimage", "data/coins.png"),
    "things/coffee-cup.png": ("skimage", "data/coffee.png"),
    "things/motorcycle.png": ("skimage", "data/motorcycle_left.png"),
}

# The same motorcycle from 19 cm further right: another photo, not a copy (Middlebury 2014 stereo
# benchmark).
_SECOND_VIEWS = {"things/motorcycle.png": ("skimage", "data/motorcycle_right.png")}

_LONGEST = 1000  # pixels of the longer side before a change; more would only cost time
_COLLAGE_OTHERS = 3

# Changes are also seeds of the random generators, so that these two keep their names.
_TITLES = {"off a wall": "print on a wall", "small and coarse": "small, low quality"}


@dataclass(frozen=True)
class Altered:
    """An altered copy of a photo, or another photo of the same thing.

    Attributes:
        path: The file of the copy.
        original: The photo that it shows.
        change: How it was made: "cropped", "off a wall", "dark", "blurred", "screenshot",
            "small and coarse", "collage" or "second view".
    """

    path: Path
    original: Path
    change: str

    @property
    def title(self) -> str:
        """The change as it is shown to people."""
        return _TITLES.get(self.change, self.change)


def gather(folder: Path) -> list[Path]:
    """Write the sample photos into sub-folders of ``folder``.

    A file that has the right content already is not written again, so that indexing the folder a
    second time finds nothing new. A photo that a package no longer contains is left out.

    Returns:
        The files of the photos, sorted; no two have the same name, with or without its ending.

    Raises:
        MissingExtraError: A package is not installed, or contains none of the photos.
        OSError: A file cannot be written.
    """
    photos = []
    for name, carried in sorted(_PHOTOS.items()):
        source = _carried(*carried)
        if source.is_file():
            _keep(folder / name, source.read_bytes())
            photos.append(folder / name)
    if not photos:
        raise MissingExtraError(
            "the installed scikit-image and scikit-learn contain none of the demo's photos; "
            f"install them again: {install_command('--force-reinstall', 'glocal[demo]')}"
        )
    return photos


def alter(photos: Sequence[Path], folder: Path, seed: int = 0) -> list[Altered]:
    """Write realistic altered copies of each photo as JPEG files.

    Each photo is cropped to 60 % of its area, photographed as a print on a wall, darkened, blurred,
    shown in a phone's screenshot, saved small at low quality and, where there are at least three
    others, put into a collage with three of them. The motorcycle's second view is added if
    `gather` wrote that photo.

    The same photos and seed always give the same copies. Except for the collage, a copy depends
    only on its own photo, the photo's name and the seed.

    Args:
        photos: Images whose names differ even without their endings.
        folder: Folder for the copies; created if it is missing.
        seed: Seed of the random crops, angles and colours.

    Returns:
        The copies, grouped by photo.

    Raises:
        ImageError: Two photos have the same name, or one cannot be read as an image.
        MissingExtraError: The package that contains a second view is not installed.
        OSError: A file cannot be read or written.
    """
    for stem, times in Counter(photo.stem for photo in photos).items():
        if times > 1:
            raise ImageError(
                f"{times} photos are called {stem!r}, so their copies would overwrite each other; "
                "rename all but one"
            )
    images = [_open(photo) for photo in photos]
    altered = []
    for index, (photo, image) in enumerate(zip(photos, images, strict=True)):
        for change, shoot in reshoot.CHANGES.items():
            jpeg = shoot(image, _rng(photo, change, seed))
            altered.append(_altered(photo, change, jpeg, folder))
        others = images[:index] + images[index + 1 :]
        if len(others) >= _COLLAGE_OTHERS:
            rng = _rng(photo, "collage", seed)
            chosen = [others[i] for i in rng.choice(len(others), _COLLAGE_OTHERS, replace=False)]
            jpeg = reshoot.collage(image, chosen, rng)
            altered.append(_altered(photo, "collage", jpeg, folder))
        altered += _second_views(photo, folder)
    return altered


def _altered(
    photo: Path, change: str, content: bytes, folder: Path, ending: str = ".jpg"
) -> Altered:
    path = folder / f"{photo.stem}-{change.replace(' ', '-')}{ending}"
    _keep(path, content)
    return Altered(path, photo, change)


def _second_views(photo: Path, folder: Path) -> list[Altered]:
    for name, carried in _SECOND_VIEWS.items():
        if not photo.match(name):
            continue
        first, second = _carried(*_PHOTOS[name]), _carried(*carried)
        # A user's photo of the same name has no second view.
        if second.is_file() and photo.read_bytes() == first.read_bytes():
            return [_altered(photo, "second view", second.read_bytes(), folder, second.suffix)]
    return []


def _rng(photo: Path, change: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(f"{photo.stem}/{change}".encode())])


def _carried(package: str, inside: str) -> Path:
    """A file in an installed package, found without importing it, which would take a second."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"the demo's photos come with {_PACKAGES[package]}, which is not installed; "
            f"run: {install_command('glocal[demo]')}"
        )
    return Path(spec.submodule_search_locations[0]) / inside


def _keep(path: Path, content: bytes) -> None:
    if path.is_file() and path.read_bytes() == content:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def _open(photo: Path) -> Image.Image:
    try:
        with Image.open(photo) as file:
            image = ImageOps.exif_transpose(file).convert("RGB")
    except UnidentifiedImageError as error:
        raise ImageError(f"{photo} is not an image that Pillow can read; leave it out") from error
    image.thumbnail((_LONGEST, _LONGEST), Image.Resampling.LANCZOS)
    return image
