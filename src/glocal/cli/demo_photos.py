"""Photographs to try glocal on without a download, and copies of them as people come to have them.

The photographs are those that the packages scikit-image and scikit-learn carry inside their
wheels; whose they are, and on what terms, stands in those packages (``skimage.data`` and
``sklearn/datasets/images/README.txt``). glocal ships none of them. They are read as files: nothing
here imports those packages, and nothing is fetched.
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
from glocal.errors import ImageError, MissingExtraError

_PACKAGES = {"skimage": "scikit-image", "sklearn": "scikit-learn"}

# Where each photograph goes, and the package and file it comes from. Left out is what those
# packages carry besides photographs: drawings, masks, colour charts, an image of 102 pixels.
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

# The same motorcycle from 19 cm further right: no copy, but a photograph of its own
# (Middlebury 2014 stereo benchmark).
_SECOND_VIEWS = {"things/motorcycle.png": ("skimage", "data/motorcycle_right.png")}

_LONGEST = 1000  # pixels of what is re-shot; more only costs time
_COLLAGE_OTHERS = 3


@dataclass(frozen=True)
class Altered:
    """A re-shot copy of a photograph.

    Attributes:
        path: the copy's file.
        original: the photograph it shows.
        change: what happened to it: "cropped", "off a wall", "dark", "blurred", "screenshot",
            "small and coarse", "collage" or "second view".
    """

    path: Path
    original: Path
    change: str


def gather(folder: Path) -> list[Path]:
    """Writes the photographs that the demo's packages carry into sub-folders of ``folder``.

    A file that is already there with the same content is left alone, so that indexing the folder
    a second time finds nothing new. A release that no longer carries a photograph yields fewer.

    Returns:
        The photographs' files, sorted; their names differ, with and without endings.

    Raises:
        MissingExtraError: a package is not installed, or none of the photographs is there.
        OSError: a file cannot be written.
    """
    photos = []
    for name, carried in sorted(_PHOTOS.items()):
        source = _carried(*carried)
        if source.is_file():
            _keep(folder / name, source.read_bytes())
            photos.append(folder / name)
    if not photos:
        raise MissingExtraError(
            "the installed scikit-image and scikit-learn carry none of the demo's photographs; "
            "install them afresh: pip install --force-reinstall 'glocal[demo]'"
        )
    return photos


def alter(photos: Sequence[Path], folder: Path, seed: int = 0) -> list[Altered]:
    """Writes copies of each photograph as a person would come to have them, as JPEG files.

    Each photograph is cropped to 60 % of its area, photographed off a wall, taken in too little
    light, taken out of focus, shown in a phone's screenshot, saved small and coarse, and, where
    there are at least three others, put into a collage with three of them. The motorcycle's true
    second view is added when `gather` wrote the photograph.

    The same photographs and seed always give the same copies. All but the collage depend on
    nothing but their own photograph, its name and the seed.

    Args:
        photos: images whose names differ without their endings, from `gather` or anybody's.
        folder: where the copies go; made where it is missing.
        seed: another seed crops, tilts and colours in another way.

    Returns:
        The copies, photograph by photograph.

    Raises:
        ImageError: two photographs share a name, or one cannot be read as an image.
        MissingExtraError: the package that carries a second view is not installed.
        OSError: a file cannot be read or written.
    """
    for stem, times in Counter(photo.stem for photo in photos).items():
        if times > 1:
            raise ImageError(
                f"{times} photographs are called {stem!r}, so their copies would overwrite each "
                "other; rename all but one"
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
        # Somebody's own motorcycle is not this one.
        if second.is_file() and photo.read_bytes() == first.read_bytes():
            return [_altered(photo, "second view", second.read_bytes(), folder, second.suffix)]
    return []


def _rng(photo: Path, change: str, seed: int) -> np.random.Generator:
    return np.random.default_rng([seed, zlib.crc32(f"{photo.stem}/{change}".encode())])


def _carried(package: str, inside: str) -> Path:
    """A file within an installed package, found without the second that importing it takes."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(
            f"the demo's photographs come with {_PACKAGES[package]}, which is not installed: "
            "pip install 'glocal[demo]'"
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
