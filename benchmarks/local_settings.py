"""Compare settings of local features by the matches that geometry explains in pairs of images.

model_settings.py prints this table after its own; this module cannot be run by itself.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from onnx import ModelProto

from default_model import Pixels, alteration, altered, blurred, shrunk
from glocal.encoders.card import Card
from glocal.encoders.fit import fit as fit_input
from glocal.images import load
from settings_images import Images

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "scripts"))
from lite0_graph import Graph, trunk
from make_untrained_model import (
    LOCAL_COUNT,
    LOCAL_DIM,
    LOCAL_MAP,
    LOCAL_WHITENING,
    Projection,
    add_keypoints,
    card,
    contrast,
    fit,
    fitting_features,
    pick_cells,
    session,
)

WAYS = ((0, 2), (1, 3), (2, 5))  # seeds: here each copy is altered twice
FALSE_PER_COPY = 4
SCENE_PAIRS = (300, 900)  # true and false
TOLERANCE = 14.0  # pixels of the network's input, less than a cell
APART = 20.0  # two matches nearer than this say too little of turn and scale
MOST_SCALE = 5.0
FALSE_QUANTILE = 0.99
EXTRA_BYTES = 6  # of each local feature, besides its descriptor: keypoint, score and scale

Cells = NDArray[np.float32]
LocalCells = tuple[NDArray[np.complex64], Cells]  # places in pixels of the input, and features
Pairs = list[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class LocalSetting:
    """Which cells of which feature map are kept, and what of each; dim None is the whole feature.

    Projections are fitted on the feature map of the bundled model only.
    """

    block: str
    by_contrast: bool
    count: int
    dim: int | None = None
    whitening: float = LOCAL_WHITENING

    @property
    def output(self) -> str:
        return f"{self.block}_{self.score}"

    @property
    def score(self) -> str:
        return "contrast" if self.by_contrast else "length"


CHOSEN = LocalSetting(LOCAL_MAP, True, LOCAL_COUNT, LOCAL_DIM)
SETTINGS = (
    *(
        LocalSetting(block, by_contrast, 128)
        for by_contrast in (False, True)
        for block in ("block4", "block7", "block10")
    ),
    LocalSetting("block10", False, 128, 48),
    LocalSetting("block10", False, 112, 64),
    LocalSetting("block10", True, 128, 32),
    LocalSetting("block10", True, 128, 48, 0.0),
    LocalSetting("block10", True, 128, 48),
    LocalSetting("block10", True, 128, 48, 1.0),
    LocalSetting("block10", True, 128, 56),
    LocalSetting("block10", True, 112, 64),
    LocalSetting("block10", True, 160, 44),
)
LARGEST_COUNT = max(setting.count for setting in SETTINGS)


def local_model(network: Any) -> ModelProto:
    """For every feature map and way to score, the cells with the highest scores, highest first."""
    graph = Graph()
    maps = trunk(graph, network)
    outputs: dict[str, tuple[str, list[int | str]]] = {}
    for setting in {setting.output: setting for setting in SETTINGS}.values():
        cells = maps[setting.block]
        evaluated = contrast(graph, cells) if setting.by_contrast else cells
        _, places, picked = pick_cells(graph, cells, evaluated, LARGEST_COUNT)
        name = setting.output
        outputs[f"{name}_places"] = add_keypoints(graph, cells, places), [f"{name}_m", 2]
        outputs[f"{name}_cells"] = picked, [f"{name}_m", f"{name}_e"]
    return graph.model(outputs)


def describe(network: Any, images: Iterable[Path | Pixels]) -> list[dict[str, LocalCells]]:
    """Places and features of each image, for every output of the model."""
    running = session(local_model(network))
    sizes = Card.read(json.dumps(card({})), "being made")
    names = [output.name for output in running.get_outputs()]
    found = []
    for source in images:
        image = fit_input(load(source, min_pixels=sizes.area).array, sizes)
        arrays = dict(zip(names, running.run(names, {"image": image}), strict=True))
        height, width = image.shape[1:3]
        parts = {}
        for name in {setting.output for setting in SETTINGS}:
            x, y = (arrays[f"{name}_places"] * (width, height)).T
            parts[name] = (x + 1j * y).astype(np.complex64), arrays[f"{name}_cells"]
        found.append(parts)
    return found


def described(
    found: dict[str, LocalCells], setting: LocalSetting, projection: Projection | None
) -> LocalCells:
    """What this setting keeps of one image."""
    places, cells = found[setting.output]
    places, cells = places[: setting.count], cells[: setting.count]
    if projection is None:
        return places, cells
    mean, matrix = projection
    projected = (cells - mean) @ matrix
    lengths = np.linalg.norm(projected, axis=1, keepdims=True)
    return places, np.asarray(projected / np.maximum(lengths, 1e-6), dtype=np.float32)


def explained(one: LocalCells, other: LocalCells) -> int:
    """The most mutual nearest neighbours that one similarity transform explains.

    Every two matches are tried. Places are complex numbers, so that turning and scaling is one
    product.
    """
    similarity = one[1] @ other[1].T
    nearest = similarity.argmax(axis=1)
    mutual = similarity.argmax(axis=0)[nearest] == np.arange(len(nearest))
    a, b = one[0][mutual], other[0][nearest[mutual]]
    first, second = np.triu_indices(len(a), 1)
    wide = np.abs(a[first] - a[second]) > APART
    first, second = first[wide], second[wide]
    turn = (b[first] - b[second]) / (a[first] - a[second])
    scale = np.abs(turn)
    sound = (scale > 1 / MOST_SCALE) & (scale < MOST_SCALE)
    first, turn, scale = first[sound], turn[sound, None], scale[sound, None]
    if not len(first):
        return 0
    misses = np.abs(turn * (a - a[first, None]) + b[first, None] - b)
    return int((misses < TOLERANCE * np.maximum(scale, 1)).sum(axis=1).max())


def copy_pairs(copies: int, originals: int) -> tuple[Pairs, Pairs]:
    """Each copy and its original; each copy and a few other originals."""
    random = np.random.default_rng(0)
    true = [(copy, copy % originals) for copy in range(copies)]
    false = [
        (copy, int((own + shift) % originals))
        for copy, own in true
        for shift in random.choice(np.arange(1, originals), FALSE_PER_COPY, replace=False)
    ]
    return true, false


def scene_pairs(labels: Sequence[str]) -> tuple[Pairs, Pairs]:
    """Random pairs of photos of one scene, and of different ones."""
    random = np.random.default_rng(0)
    pairs = [(i, j) for i in range(len(labels)) for j in range(i)]
    true = [(i, j) for i, j in pairs if labels[i] == labels[j]]
    false = [(i, j) for i, j in pairs if labels[i] != labels[j]]

    def some(kind: Pairs, count: int) -> Pairs:
        return [kind[n] for n in random.choice(len(kind), count, replace=False)]

    return some(true, SCENE_PAIRS[0]), some(false, SCENE_PAIRS[1])


def columns(
    one: list[LocalCells],
    other: list[LocalCells],
    pairs: tuple[Pairs, Pairs],
    *groups: NDArray[np.bool_],
) -> list[str]:
    """Explained matches of groups of true pairs and of false ones; how many true ones stand out."""
    true, false = (np.array([explained(one[i], other[j]) for i, j in kind]) for kind in pairs)
    cut = np.quantile(false, FALSE_QUANTILE)
    return [
        " / ".join(f"{found.mean():.1f}" for found in (*(true[some] for some in groups), false)),
        " / ".join(f"{100 * (true[some] > cut).mean():.1f}" for some in groups),
    ]


def print_local(network: Any, images: Images) -> None:
    """Run the images through the network once, then compare the settings."""
    _, fitted = fitting_features(network, [images.fitted[0], images.walls])
    originals = describe(network, images.originals)
    copies = [
        parts
        for first, second in WAYS
        for parts in describe(network, altered(altered(images.originals, first), second))
    ]
    scenes = describe(network, images.scenes[0])
    pairs = copy_pairs(len(copies), len(originals)), scene_pairs(images.scenes[1])
    sharp = np.array(
        [
            not {blurred, shrunk} & {alteration(number, first), alteration(number, second)}
            for first, second in WAYS
            for number in range(len(originals))
        ]
    )
    print(
        "\n## Local features\n\n"
        f"Copies, altered twice: {len(pairs[0][0])} true pairs, {len(pairs[0][1])} false ones; "
        f"{sharp.sum()} true ones are sharp, neither blurred nor shrunk. "
        f"Scenes: {len(pairs[1][0])} and {len(pairs[1][1])} pairs. "
        "Matches explained, and the share of true pairs with more of them than 99 % of false.\n"
    )
    print(
        "| feature map, score | cells x numbers | whitening | bytes | copies: all / sharp / false "
        "| above: all / sharp | *scenes: true / false* | *above* |"
    )
    print("| --- | --- | --- | ---: | --- | --- | --- | ---: |")
    for setting in SETTINGS:
        matrix = None if setting.dim is None else fit(fitted, setting.dim, setting.whitening)
        old, new, seen = (
            [described(found, setting, matrix) for found in group]
            for group in (originals, copies, scenes)
        )
        numbers = setting.dim or new[0][1].shape[1]
        name = f"{setting.block}, {setting.score}"
        row = [
            f"**{name}**" if setting == CHOSEN else name,
            f"{setting.count} x {numbers}{'' if setting.dim else ', no PCA'}",
            f"{setting.whitening:g}" if setting.dim else "",
            str(setting.count * (numbers + EXTRA_BYTES)),
            *columns(new, old, pairs[0], np.ones_like(sharp), sharp),
            *columns(seen, seen, pairs[1], np.ones(len(pairs[1][0]), np.bool_)),
        ]
        print(f"| {' | '.join(row)} |", flush=True)
