"""Compare heads and dimensions of vectors on the same frozen trunk, images and steps.

    python benchmarks/ablation.py [--trunk RUN/best.pt] [--dims 128 256 512] [--quick]

It needs the extra `learn`, and the Grocery Store dataset and the scenes beside the repository
(``../shared/data``). Heads are trained on Grocery's training photos, on feature maps of the trunk
that are computed once. The validation photos choose the power of pooling and the step at which to
stop. The figures are measured on the test photos, the product images, and the scenes among those
test photos. ``--trunk`` takes the trunk of a training's checkpoint, such as one with
self-supervision, instead of ImageNet's. All images are squares of 224 pixels here, so that their
feature maps can be stacked; figures of finished models come from default_model.py.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from default_model import DATA, grocery_icons, grocery_split, scene_photos
from glocal.evaluate import evaluate_labelled
from glocal.images import load
from glocal.learn import checkpoint
from glocal.learn.batches import Plan
from glocal.learn.contracts import Backbone, Head
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.superglobal import SuperGlobal
from glocal.learn.model import build_model, build_objective
from glocal.registry import part
from measure import arguments, print_table, write_results

SIDE = 224
BATCH = 48
REPORTS = 4  # of a training, evenly spread; the best one counts
POWERS = (2.5, 3.0, 4.6)
WHITENING = 0.5
TIMED_SIDE = 320  # what glocal's models take
TRAINED = {  # a head and the objective its paper trains it with
    "gem": "arcface",
    "dolg": "arcface",
    "cfcd": "adaptive",
    "delf": "arcface",
}
LEARNING_RATE = 1e-3

Figures = dict[str, float]


@dataclass(frozen=True)
class Maps:
    """The trunk's last two maps of a set of images, in half precision, and the labels."""

    fine: NDArray[np.float16]
    coarse: NDArray[np.float16]
    labels: NDArray[np.str_]

    def take(self, rows: Sequence[int] | NDArray[np.int64] | slice) -> list[Tensor]:
        return [torch.from_numpy(m[rows].astype(np.float32)) for m in (self.fine, self.coarse)]


@torch.no_grad()
def maps_of(trunk: Backbone, paths: Sequence[Path], labels: Sequence[str]) -> Maps:
    fine, coarse = [], []
    for path in paths:
        image = Image.fromarray(load(path, min_side=SIDE).array).resize((SIDE, SIDE))
        pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1)[None].float() / 255
        found = trunk(pixels)
        fine.append(found[-2][0].numpy().astype(np.float16))
        coarse.append(found[-1][0].numpy().astype(np.float16))
    return Maps(np.stack(fine), np.stack(coarse), np.array(labels))


@torch.no_grad()
def vectors(head: Head, maps: Maps) -> NDArray[np.float32]:
    head.eval()
    blocks = [
        head(maps.take(slice(begin, begin + BATCH))).vector.numpy()
        for begin in range(0, len(maps.labels), BATCH)
    ]
    return np.concatenate(blocks)


def own_map(head: Head, maps: Maps) -> float:
    found = vectors(head, maps)
    return evaluate_labelled(found, maps.labels, found, maps.labels, exclude_self=True).mean_ap


class Evaluation:
    """The images, and everything that is done with them for each way."""

    def __init__(self, trunk: Backbone, data: Path, *, most: int, steps: int) -> None:
        self.trunk, self.steps = trunk, steps
        grocery = data / "grocery"
        sets = {name: grocery_split(grocery, name) for name in ("train", "val", "test")}
        sets |= {"icons": grocery_icons(grocery), "scenes": scene_photos(data / "scenes")}
        self.maps = {}
        for name, (paths, labels) in sets.items():
            step = max(1, len(paths) // most)
            self.maps[name] = maps_of(trunk, paths[::step], labels[::step])
            print(f"{name}: {len(self.maps[name].labels)} images", flush=True)

    def report(self, head: Head) -> Figures:
        """Figures on everything that nothing was chosen by."""
        found = {name: vectors(head, self.maps[name]) for name in ("test", "icons", "scenes")}
        labels = {name: self.maps[name].labels for name in found}
        test, icons = found["test"], found["icons"]
        photos = evaluate_labelled(test, labels["test"], test, labels["test"], exclude_self=True)
        products = evaluate_labelled(icons, labels["icons"], test, labels["test"])
        both = np.concatenate([found["scenes"], test])
        strangers = [f"shop photo {number}" for number in range(len(test))]
        both_labels = [*labels["scenes"].tolist(), *strangers]
        scenes = evaluate_labelled(both, both_labels, both, both_labels, exclude_self=True)
        return {
            "photos mAP": photos.mean_ap,
            "photos recall@1": photos.recall_at[1],
            "products recall@1": products.recall_at[1],
            "scenes mAP": scenes.mean_ap,
            "scenes recall@1": scenes.recall_at[1],
        }

    def fitted(self, make: Callable[[float], Any], whitening: float) -> tuple[Head, str]:
        """A pooling with principal components fitted, its power chosen by validation."""
        best: tuple[float, Head, float] | None = None
        for power in POWERS:
            head = make(power)
            train = self.maps["train"]
            with torch.no_grad():
                pooled = [
                    head.pooled(train.take(slice(begin, begin + BATCH)))
                    for begin in range(0, len(train.labels), BATCH)
                ]
            head.whitening.fit_components(torch.cat(pooled), power=whitening)
            figure = own_map(head, self.maps["val"])
            if best is None or figure > best[0]:
                best = figure, head, power
        assert best is not None
        return best[1], f"power {best[2]:g}"

    def trained(self, name: str, dim: int) -> tuple[Head, str]:
        """A head trained on the frozen maps, taken at the step that validation likes best."""
        torch.manual_seed(0)
        train = self.maps["train"]
        known = sorted(set(train.labels.tolist()))
        codes = np.array([known.index(label) for label in train.labels.tolist()], np.int64)
        made = part("head", name).load()
        options = {"classes": len(known)} if made.learns_classes else {}
        head: Head = made(self.trunk.levels, dim=dim, **options)
        objective = build_objective(TRAINED[name], dim=dim, classes=len(known))
        optimizer = torch.optim.AdamW(
            [
                {"params": head.parameters(), "lr": LEARNING_RATE},
                {"params": objective.parameters(), "lr": 10 * LEARNING_RATE},
            ],
            weight_decay=0.01,
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimizer, [LEARNING_RATE, 10 * LEARNING_RATE], total_steps=self.steps
        )
        plan = Plan(codes, labelled=BATCH, viewed=0, seed=0)
        best, best_state, best_step = -1.0, head.state_dict(), 0
        for step in range(self.steps):
            head.train()
            head.progress(step / self.steps)
            slots = plan.batch(step)
            labels = torch.tensor([slot.label for slot in slots])
            output = head(train.take(np.array([slot.image for slot in slots])))
            loss = objective(output.vector, labels) + head.loss(output, labels)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            if (step + 1) % max(1, self.steps // REPORTS) == 0:
                figure = own_map(head, self.maps["val"])
                if figure > best:
                    state = {key: value.clone() for key, value in head.state_dict().items()}
                    best, best_state, best_step = figure, state, step + 1
        head.load_state_dict(best_state)
        return head, f"step {best_step} of {self.steps}"

    def ways(self, dim: int) -> Iterator[tuple[str, Head, str]]:
        """Each way to a vector of this length: its name, its head, what was chosen."""
        levels = self.trunk.levels

        def gem(power: float) -> Gem:
            return Gem(levels, dim=dim, power=power)

        def superglobal(power: float) -> SuperGlobal:
            return SuperGlobal(levels, dim=dim, power=power)

        yield "GeM, principal components", *self.fitted(gem, 0.0)
        yield "GeM + whitening", *self.fitted(gem, WHITENING)
        yield "SuperGlobal pooling + whitening", *self.fitted(superglobal, WHITENING)
        for name, title in (
            ("gem", "GeM, projection trained"),
            ("dolg", "DOLG"),
            ("cfcd", "CFCD"),
            ("delf", "DELF, global"),
        ):
            yield title, *self.trained(name, dim)


@torch.no_grad()
def seconds_per_image(trunk: Backbone, head: Head, times: int = 15) -> float:
    """Trunk and head on one image of the size glocal's models take, on one thread."""
    image = torch.rand(1, 3, TIMED_SIDE, TIMED_SIDE)
    head.eval()
    taken = []
    for _ in range(times + 3):
        started = time.perf_counter()
        head(trunk(image))
        taken.append(time.perf_counter() - started)
    return median(taken[3:])


def read_trunk(backbone: str, path: Path | None) -> Backbone:
    trunk = build_model(backbone=backbone, head="average").backbone
    if path is not None:
        state = checkpoint.load(path)["model"]
        own = {
            k.removeprefix("backbone."): v for k, v in state.items() if k.startswith("backbone.")
        }
        trunk.load_state_dict(own)
    return trunk.eval().requires_grad_(False)


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--backbone", default="efficientnet-lite0")
    parser.add_argument("--trunk", type=Path, help="checkpoint of a training with this backbone")
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--dims", type=int, nargs="+", default=[128, 256, 512])
    parser.add_argument("--steps", type=int, default=300, help="of each training")
    parser.add_argument("--name", default="ablation", help="of the file of results")
    options = parser.parse_args()
    torch.set_num_threads(1)
    trunk = read_trunk(options.backbone, options.trunk)
    quick = options.quick
    evaluation = Evaluation(
        trunk, options.data, most=200 if quick else 10**6, steps=8 if quick else options.steps
    )
    rows: list[tuple[object, ...]] = []
    for dim in options.dims[:1] if quick else options.dims:
        for title, head, chosen in evaluation.ways(dim):
            figures = evaluation.report(head)
            seconds = seconds_per_image(trunk, head)
            rows.append((title, dim, *figures.values(), seconds, chosen))
            print(f"{dim} {title}: photos mAP {figures['photos mAP']:.3f} ({chosen})", flush=True)
    columns = ["", "numbers", *figures, "seconds an image", "chosen"]
    print_table("One frozen trunk, one vector", columns, rows)
    write_results(
        options.name,
        {
            "backbone": options.backbone,
            "trunk": "imagenet" if options.trunk is None else options.trunk.name,
            "steps": evaluation.steps,
            "rows": [
                dict(zip(["way", *columns[1:]], map(_plain, row), strict=True)) for row in rows
            ],
        },
        quick=quick,
    )


def _plain(value: object) -> object:
    return float(value) if isinstance(value, np.floating) else value


if __name__ == "__main__":
    main()
