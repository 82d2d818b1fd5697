"""One real use of the catalogue: its best small network and block beside EfficientNet-Lite0.

    python benchmarks/small_networks.py [--minutes 5] [--seeds 0 1 2] [--quick]

The best are those with the highest accuracy that their trials stored (`glocal methods`), on digits
kept for validation after some 100 steps; the block also has to fit into that network and into an
ONNX file for images of any shape. They and EfficientNet-Lite0 start from random weights and train
for the same minutes on the same images, Grocery's training photos, with several seeds; are
exported; index the test photos; and are searched with. The test photos have no say in any choice.

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
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from default_model import DATA, grocery_split, vectors_of
from glocal.encoders import Encoder, load_encoder
from glocal.errors import LearnError
from glocal.evaluate import evaluate_labelled
from glocal.gallery import Gallery
from glocal.images import load
from glocal.learn.graft import graft
from glocal.methods import catalogue, status_of
from glocal.registry import part
from measure import arguments, glocal_command, print_table, run_process, write_results

LARGE = "efficientnet-lite0"
SIDE, INPUT = 96, 160
BATCH, DIM, AVERAGE = 32, 128, 0.98
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def write_table(path: Path) -> None:
    """The training and validation photos, as `glocal train` reads them."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("path", "label", "split"))
        for split in ("train", "val"):
            for photo, label in zip(*grocery_split(DATA / "grocery", split), strict=True):
                rows.writerow((photo, label, split))


def best(stage: str) -> list[str]:
    """Parts of the methods of a stage that hold, the most accurate in its trial first."""
    found = {}
    for status in map(status_of, catalogue()):
        method, result = status.method, status.result
        if method.stage == stage and status.state == "holds" and result is not None:
            for check in (check for pair in result.pairs for check in pair.checks):
                if check.what.startswith("accuracy on digits"):
                    found[method.part.partition(":")[2]] = check.measured
    return sorted(found, key=lambda name: -found[name])


def fits(backbone: str, block: str) -> bool:
    """Whether a block can be grafted into a backbone, at any size."""
    made = part("block", block).load()
    trunk = part("backbone", backbone).load()(weights="none")
    try:
        graft(trunk, made.role, made)
    except LearnError:
        return False
    return not made.fixed_size


def use(table: Path, folder: Path, minutes: float, backbone: str, block: str | None,
        seed: int, every: int) -> dict[str, float]:  # fmt: skip
    """Train, export, index and search every N-th test photo, each as a user would."""
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
    photos, labels = photos[::every], labels[::every]
    place = folder / f"gallery-{output.stem}"
    index = [*glocal_command(), "index", *photos, "-g", place, "--model", output]
    indexed = run_process(index, environment=os.environ | ONE_THREAD)
    label_of = dict(zip(photos, labels, strict=True))
    with Gallery(place, create=False) as gallery:
        right = [
            label_of[found[0].path] == label_of[query]
            for query in photos[::10]
            if (found := [h for h in gallery.search(query, limit=5).hits if h.path != query])
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
    parser.add_argument("--minutes", type=float, default=5, help="of each training")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    options = parser.parse_args()
    if options.quick:
        options.minutes, options.seeds = 0.1, [0]
    backbone = next(name for name in best("backbone") if name.endswith("-tiny"))
    block = next(name for name in best("block") if fits(backbone, name))
    figures: dict[str, Any] = {"minutes": options.minutes, "runs": {}}
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        table = folder / "photos.csv"
        write_table(table)
        for network, own in ((LARGE, None), (backbone, None), (backbone, block)):
            name = network + (f" with {own}" if own else "")
            runs = [
                use(table, folder, options.minutes, network, own, seed, 20 if options.quick else 1)
                for seed in options.seeds
            ]
            figures["runs"][name] = runs
            print(f"{name}: {runs}", flush=True)
    columns = list(figures["runs"][LARGE][0])
    rows = [
        (name, *(_spread([run[column] for run in runs]) for column in columns))
        for name, runs in figures["runs"].items()
    ]
    print_table("Trained for the same minutes", ["", *columns], rows)
    write_results("small_networks", figures, quick=options.quick)


def _spread(values: Sequence[float]) -> str:
    return f"{mean(values):.1f}" + (f" ± {stdev(values):.1f}" if len(values) > 1 else "")


if __name__ == "__main__":
    main()
