"""Measure how fast images are indexed, against the limit of decoding and network, and against CLIP.

    python benchmarks/indexing_speed.py [--count 600] [--rounds 3] [--quick]

Two-megapixel JPEGs are made in a temporary folder. Each round measures, one after the other:

- decoding and the network on one thread, as an index run calls them, and all that is done to a
  photo: these two, reading, hashing, the vectors of its regions, its small grey image and its
  caption. ``limit of all parts = cores / all of a photo`` bounds the speed of any pipeline of them;
  ``limit`` is that of decoding and the network alone, and counts no regions;
- a whole run of ``Gallery.add`` into a new gallery, and one that encodes in float where the model's
  twin in int8 is used, one with the model that encodes at two scales, and one with the larger one;
- the same pool of threads with decoding to 224 pixels and a network of the shape of CLIP's
  ViT-B/32, on ONNX Runtime and on torch. This needs ``pip install torch==2.13.0 onnx onnxscript``
  and is skipped without them.

The medians of the rounds are printed. Then ``glocal index`` runs in processes of its own over the
same folder, and over one of large images, to measure its peak memory.
"""

from __future__ import annotations

import argparse
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter
from typing import Any
from unittest.mock import patch

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from glocal.encoders import DEFAULT_MODEL, Encoder, OnnxEncoder, load_encoder
from glocal.encoders.precision import VARIABLE
from glocal.encoders.regions import COARSE
from glocal.gallery import Gallery
from glocal.gallery.ahead import worker_count
from glocal.gallery.describing import Describer, content_id
from glocal.images import Limits, load, read_bytes
from measure import (
    Target,
    arguments,
    glocal_command,
    median,
    milliseconds,
    print_table,
    print_targets,
    run_process,
    write_results,
)
from photos import make_large_images, make_photos

NEEDED = ("torch", "onnx", "onnxscript")
TARGETS: list[Target] = [
    ("share of the limit of all parts", ">=", 0.95),
    ("times float", ">=", 1.7),
    ("times CLIP on ONNX Runtime", ">=", 4.2),
    ("times CLIP on torch", ">=", 8),
    ("peak MB, these photos", "<=", 400),
]
LIMITS = Limits()
STAGES = ("read and hash", "decode", "network", "all of a photo", "network in float")
RATES = (
    *("limit", "limit of all parts", "bare pool", "index run", "overall", "index run in float"),
    "index run at two scales",
    "index run of the larger model",
)
Figures = dict[str, float]
Peers = dict[str, Callable[[Sequence[Path]], object]]


def stages(encoder: Encoder, paths: Sequence[Path]) -> Figures:
    """Milliseconds an image on one thread: reading and hashing, decoding, network."""
    spent = {"read and hash": 0.0, "decode": 0.0, "network": 0.0}
    for path in paths:
        times = [perf_counter()]
        data = read_bytes(path, LIMITS)
        content_id(data)
        times.append(perf_counter())
        image = load(data, min_pixels=encoder.card.area, limits=LIMITS)
        times.append(perf_counter())
        encoder.encode([image.array])
        times.append(perf_counter())
        for stage, seconds in zip(spent, np.diff(times), strict=True):
            spent[stage] += 1000 * float(seconds) / len(paths)
    return spent


def all_of_a_photo(encoder: Encoder, paths: Sequence[Path]) -> float:
    """Milliseconds that a photo takes on one thread, from its file to all that is kept of it."""
    describer = Describer(encoder, None, LIMITS, COARSE)

    def each() -> None:
        for path in paths:
            describer.describe(read_bytes(path, LIMITS), path)

    return milliseconds(each) / len(paths)


def bare_pool(encoder: Encoder, paths: Sequence[Path]) -> float:
    """Images a second when threads only decode and encode: what the machine really allows."""

    def one(path: Path) -> None:
        encoder.encode([load(path, min_pixels=encoder.card.area, limits=LIMITS).array])

    return _rate(lambda: in_pool(one, paths), len(paths))


def in_pool(work: Callable[[Any], object], items: Sequence[Any]) -> None:
    """Do something to each item in as many threads as there are cores."""
    with ThreadPoolExecutor(worker_count()) as pool:
        list(pool.map(work, items))


def _rate(call: Callable[[], object], count: int) -> float:
    return 1000 * count / milliseconds(call)


def index_run(
    paths: Sequence[Path], folder: Path, precision: str = "auto", model: str | None = None
) -> Figures:
    """Images a second of a real run into a new gallery: while encoding, and over all its time."""
    with patch.dict(os.environ, {VARIABLE: precision}), Gallery(folder, model=model) as gallery:
        report = gallery.add(paths[0].parent)
    if report.added != len(paths) or report.failed:
        raise SystemExit(f"{report.added} of {len(paths)} images were added: {report.failed[:3]}")
    return {"index run": report.images_per_second, "overall": report.added / report.seconds}


def clip_pixels(path: Path) -> NDArray[np.float32]:
    """An image as CLIP takes it: the middle square of 224 pixels, normalised, ``(3, 224, 224)``.

    Decoded as glocal decodes, so that what differs is the network.
    """
    array = load(path, min_side=224, limits=LIMITS).array
    height, width = array.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = (left, top, left + side, top + side)
    small = Image.fromarray(array).resize((224, 224), Image.Resampling.BILINEAR, box=square)
    mean = np.array([0.481, 0.458, 0.408], np.float32)
    deviation = np.array([0.269, 0.261, 0.276], np.float32)
    pixels = np.asarray(small, np.float32) / np.float32(255)
    normal: NDArray[np.float32] = (pixels - mean) / deviation
    return normal.transpose(2, 0, 1)


def peers(folder: Path, batches: Sequence[int]) -> Peers:
    """CLIP's pipeline on both engines, with each batch size; nothing when torch is missing."""
    missing = [name for name in NEEDED if find_spec(name) is None]
    if missing:
        print(
            f"Without {', '.join(missing)} there is no comparison with CLIP's network;\n"
            f"for it: pip install torch==2.13.0 onnx onnxscript\n"
        )
        return {}
    from clip_shape import ClipShape, on_onnx_runtime, on_torch  # needs torch

    model = ClipShape().eval()
    networks = {
        "ONNX Runtime": on_onnx_runtime(model, folder / "clip.onnx"),
        "torch": on_torch(model),
    }

    def pipeline(network: Callable[[Any], object], batch: int) -> Callable[[Sequence[Path]], None]:
        def one(paths: Sequence[Path]) -> None:
            network(np.ascontiguousarray(np.stack([clip_pixels(path) for path in paths])))

        return lambda paths: in_pool(
            one, [paths[start : start + batch] for start in range(0, len(paths), batch)]
        )

    return {
        f"{name}, batch {batch}": pipeline(network, batch)
        for name, network in networks.items()
        for batch in batches
    }


def measure_round(
    paths: Sequence[Path], sample: int, encoder: OnnxEncoder, others: Peers, gallery: Path
) -> Figures:
    """One round of everything; the engines stand next to each other in time."""
    step = max(1, len(paths) // sample)
    few = paths[::step][:sample]
    figures = stages(encoder, few)
    figures["all of a photo"] = all_of_a_photo(encoder, few)
    if encoder.precision != "float":
        in_float = load_encoder(precision="float")
        figures["network in float"] = stages(in_float, few)["network"]
    figures["bare pool"] = bare_pool(encoder, few)
    figures |= index_run(paths, gallery)
    if encoder.precision != "float":
        figures["index run in float"] = index_run(
            paths, gallery.with_name(f"{gallery.name}-float"), "float"
        )["index run"]
        figures["times float"] = figures["index run"] / figures["index run in float"]
    for name, model in (
        ("index run at two scales", f"{DEFAULT_MODEL}-multiscale"),
        ("index run of the larger model", "glocal-lite2"),
    ):
        figures[name] = index_run(paths, gallery.with_name(f"{gallery.name}-{model}"), model=model)[
            "index run"
        ]
    for name, run in others.items():
        figures[name] = _rate(lambda run=run: run(few), len(few))  # type: ignore[misc]
    figures["limit"] = 1000 * worker_count() / (figures["decode"] + figures["network"])
    figures["share of the limit"] = figures["index run"] / figures["limit"]
    figures["limit of all parts"] = 1000 * worker_count() / figures["all of a photo"]
    figures["share of the limit of all parts"] = (
        figures["index run"] / figures["limit of all parts"]
    )
    for engine in ("ONNX Runtime", "torch"):
        rates = [rate for name, rate in figures.items() if name.startswith(engine)]
        if rates:
            figures[f"times CLIP on {engine}"] = figures["index run"] / max(rates)
    return figures


def peak_memory(folder: Path, gallery: Path) -> float:
    """Megabytes that ``glocal index`` takes at most, in a process of its own."""
    command = [*glocal_command(), "index", folder, "--gallery", gallery, "--json"]
    return run_process(command).peak_bytes / 1e6


def show(figures: Figures) -> None:
    """Print what was measured."""
    print_table(
        "One image, one thread",
        ["stage", "ms"],
        [(name, ms) for name, ms in figures.items() if name in STAGES],
    )
    rates = [
        (name, rate, figures["index run"] / rate)
        for name, rate in figures.items()
        if name in RATES or "batch" in name
    ]
    print_table(
        f"{worker_count()} cores",
        ["", "images/s", "index run is … times that"],
        rates,
    )


def options() -> argparse.Namespace:
    """Read the command line."""
    parser = arguments(__doc__)
    parser.add_argument("--count", type=int, default=600, help="photos to index [600]")
    parser.add_argument("--sample", type=int, default=150, help="of them for one thread, peers")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--peer-batches", default="1,8", help="batch sizes for CLIP's network")
    given = parser.parse_args()
    if given.quick:
        given.count, given.sample, given.rounds = 40, 8, 1
    return given


def main() -> None:
    given = options()
    with tempfile.TemporaryDirectory() as temporary:
        place = Path(temporary)
        paths = make_photos(place / "photos", given.count)
        megabytes = sum(path.stat().st_size for path in paths) / 1e6
        print(f"{given.count} photos of 1632x1224 pixels, {megabytes / given.count:.2f} MB each")
        encoder = load_encoder(sessions=worker_count())
        others = peers(place, [int(size) for size in given.peer_batches.split(",")])
        for warm in (lambda few: stages(encoder, few), *others.values()):
            warm(paths[:8])
        rounds = [
            measure_round(paths, given.sample, encoder, others, place / f"gallery-{number}")
            for number in range(given.rounds)
        ]
        figures = {name: median(one[name] for one in rounds) for name in rounds[0]}
        print(f"the model encodes in {encoder.precision}")
        figures["peak MB, these photos"] = peak_memory(place / "photos", place / "own-process")
        large = {"photos": 2, "png_side": 3000} if given.quick else {"photos": 6, "png_side": 10000}
        make_large_images(place / "large", **large)
        figures["peak MB, large images"] = peak_memory(place / "large", place / "of-large")
    show(figures)
    targets = print_targets(figures, TARGETS)
    print(f"\nLarge images ({large}) peak at {figures['peak MB, large images']:.0f} MB.")
    write_results(
        "indexing_speed",
        {
            "count": given.count,
            "precision": encoder.precision,
            "megabytes_each": megabytes / given.count,
            "large_images": large,
            "medians": figures,
            "targets": targets,
            "rounds": rounds,
        },
        quick=given.quick,
    )


if __name__ == "__main__":
    main()
