"""The images that smaller galleries are measured on, encoded once. Nothing to run by itself.

Vectors and local features are kept as the model gives them, so that each way of storing them starts
from the same numbers.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from default_model import (
    ALTERATIONS,
    Labels,
    Pixels,
    altered,
    grocery_icons,
    grocery_split,
    scene_photos,
)
from glocal.encoders import LocalFeatures, OnnxEncoder
from glocal.gallery.small_images import shrink
from glocal.images import load
from verification_sets import DATA, Images, LabelledSet, copies, products, scenes

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Asked:
    """Queries and the gallery in which an image with the same label is right."""

    queries: Floats
    query_labels: Labels
    gallery: Floats
    labels: Labels

    @property
    def itself(self) -> bool:
        """Whether every image of the gallery is a query, left out of its own ranking."""
        return self.queries is self.gallery


@dataclass
class Encoded:
    """What a model makes of all images, by their numbers in `images`."""

    images: Images
    verified: dict[str, LabelledSet]
    vectors: Floats
    sizes: list[tuple[int, int]]
    local: list[LocalFeatures]
    small: list[Pixels]
    asked: dict[str, Asked] = field(default_factory=dict)


def encoded(encoder: OnnxEncoder, work: Path) -> Encoded:
    """Encode all images, or read what an earlier run encoded."""
    images = Images()
    sets = [copies(images, [], 0), copies(images, [], 1)]
    sets += [products(images, "train", 4), products(images, "test", 3)]
    sets += [scenes(images), scenes(images, court=True)]
    grocery = DATA / "grocery"
    train, train_labels = grocery_split(grocery, "train")
    test, test_labels = grocery_split(grocery, "test")
    icons, icon_labels = grocery_icons(grocery)
    places, place_labels = scene_photos(DATA / "scenes")
    for paths in (train, test, icons, places):
        images.add_all(paths)
    path = work / f"encoded-{encoder.card.name}-{encoder.card.version}.npz"
    if not path.exists():
        work.mkdir(parents=True, exist_ok=True)
        partial = path.with_name("partial.npz")
        np.savez(partial, **_encode(images, encoder), **_altered(encoder, train))
        partial.replace(path)
    kept = dict(np.load(path))
    ends = np.cumsum(kept["counts"])[:-1]
    pieces = (np.split(kept[name], ends) for name in ("keypoints", "descriptors", "scores"))
    local = [LocalFeatures(*each) for each in zip(*pieces, strict=True)]
    shapes = kept["shapes"]
    flat = np.split(kept["small"], np.cumsum(shapes.prod(axis=1))[:-1])
    small = [each.reshape(shape) for each, shape in zip(flat, shapes, strict=True)]
    sizes = [(int(width), int(height)) for width, height in kept["sizes"]]
    found = Encoded(images, {one.name: one for one in sets}, kept["vectors"], sizes, local, small)

    def of(paths: list[Path]) -> Floats:
        return np.asarray(found.vectors[images.add_all(paths)])

    shop, shelf, drawn, seen = of(test), of(train), of(icons), of(places)
    everything = np.concatenate([seen, shop])
    everything_labels = place_labels + [f"shop photo {number}" for number in range(len(shop))]
    names = [str(each) for each in train]
    found.asked = {
        "grocery train": Asked(shelf, train_labels, shelf, train_labels),
        "grocery test": Asked(shop, test_labels, shop, test_labels),
        "product images": Asked(drawn, icon_labels, shop, test_labels),
        "altered copies": Asked(kept["altered"], names[::11] * len(ALTERATIONS), shelf, names),
        "scenes": Asked(everything, everything_labels, everything, everything_labels),
    }
    return found


def _encode(images: Images, encoder: OnnxEncoder) -> dict[str, NDArray[np.generic]]:
    vectors, sizes, local, small = [], [], [], []
    for source in images.sources:
        image = load(source, min_pixels=max(encoder.card.area, 128 * 128))
        (features,) = encoder.encode([image.array])
        vectors.append(features.vector)
        sizes.append((image.facts.width, image.facts.height))
        local.append(features.local)
        small.append(shrink(image.array))
    return {
        "vectors": np.stack(vectors),
        "sizes": np.array(sizes),
        "counts": np.array([len(each) for each in local]),
        "keypoints": np.concatenate([each.keypoints for each in local]),
        "descriptors": np.concatenate([each.descriptors for each in local]),
        "scores": np.concatenate([each.scores for each in local]),
        "shapes": np.array([each.shape for each in small]),
        "small": np.concatenate([each.ravel() for each in small]),
    }


def _altered(encoder: OnnxEncoder, train: list[Path]) -> dict[str, NDArray[np.generic]]:
    made = [
        np.stack([encoder.encode([each])[0].vector for each in altered(train[::11], seed)])
        for seed in range(len(ALTERATIONS))
    ]
    return {"altered": np.concatenate(made)}
