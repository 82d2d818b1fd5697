"""A small and a large encoder in one file: what each stitch between them finds, and its time.

    python benchmarks/stitches.py --work DIR [--epochs 1.5] [--data FOLDER] [--quick]

EfficientNet-Lite0 and Lite2 with ImageNet weights, whose pooled features are whitened on Grocery's
training photos, are the anchors; the stitches between them are trained on the same photos without
their labels, the large one unchanged, and written to one file, as `glocal stitch` does. Each stitch
then encodes Grocery's test photos, which had no say in anything: mAP and recall@1 among its own
vectors, in the index of the large one, and in an index that all stitches made by turns. Seconds are
of the processor, one thread, by turns. It needs the extra `learn` and the Grocery Store dataset.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from default_model import DATA, grocery_split
from glocal.encoders import OnnxEncoder
from glocal.evaluate import mean_average_precision
from glocal.images import load
from glocal.learn import checkpoint
from glocal.learn.delivery import make_card
from glocal.learn.export import export
from glocal.learn.finishing import fit_final
from glocal.learn.model import build_model
from glocal.learn.settings import Settings
from glocal.learn.stitch_delivery import deliver_stitches
from glocal.learn.stitch_training import train_stitches
from measure import arguments, print_table, write_results

DIM, SIDE, INPUT, BATCH = 256, 128, 320, 24
ANCHORS = {"small": "efficientnet-lite0", "large": "efficientnet-lite2"}


class Steps:
    """Prints the loss now and then."""

    def __init__(self) -> None:
        self.losses: list[float] = []

    def copying(self, done: int, total: int) -> None:
        if done == total:
            print(f"{total} photos copied", flush=True)

    def skipping(self, unfit: dict[Path, str]) -> None:
        print(f"left out: {unfit}")

    def beginning(self, samples: Any, done: float) -> None:
        print(f"{len(samples)} photos, {done:.0%} done, {time.process_time():.0f} s", flush=True)

    def learning(self, done: float, figures: dict[str, float]) -> None:
        self.losses.append(figures["loss"])
        if len(self.losses) % 40 == 0:
            mean = np.mean(self.losses[-40:])
            print(f"{done:.0%}: loss {mean:.4f}, {time.process_time():.0f} s", flush=True)


def _as_it_is(photo: Any) -> Any:
    return photo


def anchor(name: str, photos: list[NDArray[np.uint8]], folder: Path) -> Path:
    """An ImageNet trunk with whitened pooled features: its checkpoint, and its own model file."""
    run = folder / f"{name}.run"
    settings = Settings(
        backbone=ANCHORS[name], dim=DIM, epochs=1, side=SIDE, input_side=INPUT, objective="instance"
    )
    if not (run / checkpoint_name).exists():
        torch.manual_seed(0)
        model = build_model(backbone=settings.backbone, head=settings.head, dim=DIM).eval()
        fit_final(model, photos, _as_it_is, side=INPUT, whiten=True)  # type: ignore[arg-type]
        run.mkdir(parents=True, exist_ok=True)
        state = {"model": model.state_dict(), "settings": settings.as_dict(), "step": 0}
        checkpoint.save(run / checkpoint_name, state)
        card = make_card(
            model, settings, name=name, space=name, licence="Apache-2.0", training_data=[]
        )
        export(model, card, folder / f"{name}.onnx")
    return run


checkpoint_name = "best.pt"


def encoded(
    encoders: dict[str, OnnxEncoder], photos: list[Path]
) -> tuple[dict[str, NDArray[np.float32]], dict[str, float]]:
    """Vectors of each encoder, and its milliseconds of the processor per photo, taken by turns."""
    vectors: dict[str, list[NDArray[np.float32]]] = {name: [] for name in encoders}
    spent: dict[str, list[float]] = {name: [] for name in encoders}
    area = next(iter(encoders.values())).card.area
    for photo in photos:
        image = load(photo, min_pixels=area).array
        for name, encoder in encoders.items():
            before = time.process_time()
            vectors[name].append(encoder.encode([image])[0].vector)
            spent[name].append(1000 * (time.process_time() - before))
    return (
        {name: np.stack(rows) for name, rows in vectors.items()},
        {name: float(np.median(each)) for name, each in spent.items()},
    )


def found(queries: NDArray[np.float32], index: NDArray[np.float32], labels: list[str],
          ) -> tuple[float, float]:  # fmt: skip
    """Recall@1 and mAP, in per cent; a photo does not find itself, by whomever it was indexed."""
    scores = queries @ index.T
    np.fill_diagonal(scores, -np.inf)
    order = np.argsort(-scores, axis=1, kind="stable")[:, :-1]
    known = np.array(labels)
    right = known[order] == known[:, None]
    right = right[right.any(axis=1)]
    return 100 * float(right[:, 0].mean()), 100 * mean_average_precision(right.tolist())


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--work", type=Path, required=True, help="folder for models and copies")
    parser.add_argument("--epochs", type=float, default=1.5, help="of the stitches' training")
    parser.add_argument("--data", type=Path, default=DATA, help="folder that has grocery/")
    options = parser.parse_args()
    torch.set_num_threads(1)
    work: Path = options.work
    work.mkdir(parents=True, exist_ok=True)
    learned, _ = grocery_split(options.data / "grocery", "train")
    table = work / "photos.csv"
    lines = ["path,label,split", *(f"{photo.resolve()}," + ",train" for photo in learned)]
    every = 60 if options.quick else 3
    if options.quick:
        lines, options.epochs = lines[:60], 1
    table.write_text("\n".join(lines) + "\n")
    fitted = [load(photo, min_pixels=INPUT**2).array for photo in learned[::8]]
    runs = {name: anchor(name, fitted, work) for name in ANCHORS}
    settings = Settings(
        epochs=options.epochs, batch=BATCH, side=SIDE, input_side=INPUT, strength=0.5, workers=1,
        device="cpu", patience=0, average=0.98,
    )  # fmt: skip
    before = time.process_time()
    pair = train_stitches(
        runs["small"], runs["large"], table, settings, run=work / "stitched.run", listener=Steps()
    )
    training = time.process_time() - before
    delivered = deliver_stitches(
        pair, work / "stitched.onnx", licence="Apache-2.0", training_data=["Grocery"],
        large_file=work / "large.onnx",
    )  # fmt: skip
    file = delivered[0]
    print(file, f"{training:.0f} s of the processor for {pair.step} steps", flush=True)
    every_photo, every_label = grocery_split(options.data / "grocery", "test")
    photos, labels = every_photo[::every], every_label[::every]
    names = [stitch.name for stitch in file.stitches]
    encoders = {name: OnnxEncoder(file.path, stitch=name) for name in names}
    encoders |= {f"{name}.onnx": OnnxEncoder(work / f"{name}.onnx") for name in ANCHORS}
    vectors, spent = encoded(encoders, photos)
    turns = np.arange(len(photos)) % len(names)
    mixed = np.stack([vectors[names[turn]][row] for row, turn in enumerate(turns)])
    rows, figures = [], {}
    costs = {stitch.name: stitch for stitch in file.stitches}
    for name in encoders:
        own = found(vectors[name], vectors[name], labels)
        row = {"ms": spent[name], "R@1 own index": own[0], "mAP own index": own[1]}
        if name in names:
            large = found(vectors[name], vectors["large"], labels)
            both = found(vectors[name], mixed, labels)
            row |= {
                "R@1 large's index": large[0], "mAP large's index": large[1],
                "R@1 mixed index": both[0], "mAP mixed index": both[1],
                "GMAC": costs[name].macs / 1e9, "agreement": costs[name].agreement,
            }  # fmt: skip
        figures[name] = row
    columns = list(figures["large"])
    rows = [(name, *(row.get(column) for column in columns)) for name, row in figures.items()]
    print_table(f"{len(photos)} test photos of Grocery", ["", *columns], rows)
    sizes = {path.name: path.stat().st_size / 1e6 for path in sorted(work.glob("*.onnx"))}
    print_table("Files", ["", "MB"], list(sizes.items()))
    write_results(
        "stitches",
        {"stitches": figures, "MB": sizes, "steps": pair.step, "photos": len(photos),
         "difference": file.difference, "space": file.space,
         "seconds of the processor, training": training,
         "seconds of the processor": time.process_time()},
        quick=options.quick,
    )  # fmt: skip


if __name__ == "__main__":
    main()
