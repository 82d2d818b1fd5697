"""One real use of the catalogue: its best small network and block beside EfficientNet-Lite0.

    python benchmarks/small_networks.py [--minutes 5] [--screen 0.5] [--seeds 0 1 2] [--quick]

All start from random weights and train for the same minutes on the same images: Grocery's training
photos, as `glocal train` does. First every small preset trains for a short time, and the one with
the highest mAP on the validation photos is chosen; then every block is grafted into it, and the
best is chosen likewise. What was chosen, and EfficientNet-Lite0, are then trained for longer with
several seeds, exported, used to index the test photos, and searched with. The test photos have no
say in any choice.

A training counts minutes of the clock, so that nothing else should run beside; the seconds of the
processor that each used are stored. It needs the extra `learn`, and the Grocery Store dataset
beside the repository (``../shared/data``).
"""

from __future__ import annotations

import csv
import os
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

import torch

from default_model import DATA, grocery_split, vectors_of
from glocal.encoders import Encoder, load_encoder
from glocal.errors import GlocalError
from glocal.evaluate import evaluate_labelled
from glocal.gallery import Gallery
from glocal.images import load
from glocal.learn.evaluator import vectors_of as encoded
from glocal.learn.settings import Settings
from glocal.learn.training import train
from glocal.registry import parts
from measure import arguments, glocal_command, print_table, run_process, write_results

LARGE = "efficientnet-lite0"
SIDE, INPUT = 96, 160
BATCH, DIM, AVERAGE = 32, 128, 0.98
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class Quiet:
    """Reports nothing."""

    def copying(self, done: int, total: int) -> None:
        pass

    def skipping(self, unfit: dict[Path, str]) -> None:
        pass

    def beginning(self, samples: Sequence[Any], done: float) -> None:
        pass

    def learning(self, done: float, figures: dict[str, float]) -> None:
        pass


def write_table(path: Path) -> None:
    """The training and validation photos, as `glocal train` reads them."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "split"))
        for split in ("train", "val"):
            for photo, label in zip(*grocery_split(DATA / "grocery", split), strict=True):
                rows.writerow((photo, label, split))


def screened(table: Path, folder: Path, minutes: float, backbone: str, block: str | None) -> float:
    """mAP of the validation photos after a short training."""
    settings = Settings(
        backbone=backbone, block=block, weights="none", minutes=minutes, batch=BATCH, dim=DIM,
        side=SIDE, input_side=INPUT, workers=1, patience=0, device="cpu", average=AVERAGE,
    )  # fmt: skip
    run = folder / f"{backbone}-{block}"
    trained = train(table, settings, run=run, cache=folder / "images", listener=Quiet())
    encode = partial(encoded, trained.model.eval(), side=INPUT, pooled=False)
    return 100 * float(trained.evaluate(encode)["mAP"])


def screen(table: Path, folder: Path, minutes: float, backbones: Sequence[str],
           blocks: Sequence[str | None]) -> dict[str, float | str]:  # fmt: skip
    """By name the mAP, best first, then what could not be trained and why."""
    found, failed = {}, {}
    for backbone in backbones:
        for block in blocks:
            name = block or backbone
            try:
                found[name] = screened(table, folder, minutes, backbone, block)
            except GlocalError as error:
                failed[name] = str(error)
            print(f"  {name}: {found.get(name, failed.get(name))}", flush=True)
    return {name: found[name] for name in sorted(found, key=lambda n: -found[n])} | failed


def use(table: Path, folder: Path, minutes: float, backbone: str, block: str | None,
        seed: int) -> dict[str, float]:  # fmt: skip
    """Train, export, index and search, each as a user would."""
    output = folder / f"{backbone}-{block}-{seed}.onnx"
    trained = run_process(
        [
            *glocal_command(), "train", table, "-o", output, "--backbone", backbone,
            "--weights", "none", "--minutes", str(minutes), "--batch", str(BATCH),
            "--dim", str(DIM), "--side", str(SIDE), "--input-side", str(INPUT), "--workers", "1",
            "--patience", "0", "--device", "cpu", "--average", str(AVERAGE), "--seed", str(seed),
            "--cache", folder / "images", *(("--block", block) if block else ()),
        ],
        environment=os.environ | ONE_THREAD,
    )  # fmt: skip
    photos, labels = grocery_split(DATA / "grocery", "test")
    place = folder / f"gallery-{output.stem}"
    index = [*glocal_command(), "index", photos[0].parents[2], "-g", place, "--model", output]
    indexed = run_process(index, environment=os.environ | ONE_THREAD)
    label_of = {str(path): label for path, label in zip(photos, labels, strict=True)}
    with Gallery(place, create=False) as gallery:
        right = [
            label_of[found[0].path] == label_of[str(query)]
            for query in photos[::10]
            if (found := [h for h in gallery.search(query, limit=5).hits if h.path != str(query)])
        ]
    encoder = load_encoder(str(output))
    vectors = vectors_of(encoder, photos)
    result = evaluate_labelled(vectors, labels, vectors, labels, exclude_self=True)
    return {
        "mAP": 100 * result.mean_ap,
        "R@1": 100 * result.recall_at[1],
        "R@1 of searches": 100 * mean(right),
        "images/s of encoding": _rate(encoder, photos[::40]),
        "images/s of indexing": len(photos) / indexed.processor_seconds,
        "MB": output.stat().st_size / 1e6,
        "s of the processor, training": trained.processor_seconds,
    }


def _rate(encoder: Encoder, photos: Sequence[Path]) -> float:
    pixels = [load(photo, min_pixels=encoder.card.area).array for photo in photos]
    started = time.process_time()
    for image in pixels:
        encoder.encode([image])
    return len(pixels) / (time.process_time() - started)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--minutes", type=float, default=5, help="of each training that is used")
    parser.add_argument("--screen", type=float, default=0.5, help="minutes of those that choose")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.screen, options.seeds = 0.1, 0.05, [0]
    torch.set_num_threads(1)
    small = [p.name for p in parts("backbone") if p.name.endswith("-tiny")]
    blocks = [p.name for p in parts("block")]
    figures: dict[str, Any] = {"minutes": options.minutes, "minutes of choosing": options.screen}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table = folder / "photos.csv"
        write_table(table)
        screened(table, folder, 0.02, LARGE, None)  # makes the copies of the photos
        chosen_by = screen(table, folder, options.screen, small, [None])
        best = next(iter(chosen_by))
        figures["validation mAP of small networks"] = chosen_by
        with_blocks = screen(table, folder, options.screen, [best], blocks)
        block = next(iter(with_blocks))
        figures[f"validation mAP of {best} with a block"] = with_blocks
        for backbone, own in ((LARGE, None), (best, None), (best, block)):
            name = backbone + (f" with {own}" if own else "")
            runs = [
                use(table, folder, options.minutes, backbone, own, seed) for seed in options.seeds
            ]
            figures[name] = runs
            print(f"{name}: {runs}", flush=True)
    names = [name for name in figures if name.startswith((LARGE, best))]
    columns = list(figures[LARGE][0])
    rows = [
        (name, *(_spread([run[column] for run in figures[name]]) for column in columns))
        for name in names
    ]
    print_table("Trained for the same minutes", ["", *columns], rows)
    write_results("small_networks", figures, quick=options.quick)


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
