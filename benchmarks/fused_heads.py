"""Do heads that fuse local detail help where nobody gave labels? Trained by views alone.

    python benchmarks/fused_heads.py --pack PACK --images FOLDER [--quick]

The trunk is that of the default model, frozen, and each head is trained on its maps of altered
views of training images, by telling images apart (InfoNCE and entropy, as in SSCD; no label is
used, an image is its own class). PACK and FOLDER are what ``scripts/default_model/pack.py`` and
``scripts/gather_training_images.py`` wrote. Views of images that were not trained on choose the
step at which to stop; the figures are those of `stand_ins.py`, of which nothing was seen. All
images are squares of 224 pixels, so that maps can be kept; finished models are measured by
`stand_ins.py`.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

sys.path.append(str(Path(__file__).resolve().parent.parent / "scripts" / "default_model"))

from finish import mix_file
from pack import read
from train import Bank
from views import MILD, STRONG

from ablation import POWERS, WHITENING, Maps, vectors
from default_model import DATA
from glocal.encoders import find_model, load_encoder
from glocal.encoders.card import Card
from glocal.encoders.features import Features
from glocal.evaluate import evaluate_labelled
from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0
from glocal.learn.cells import Cells
from glocal.learn.contracts import Head
from glocal.learn.export import fold_norms
from glocal.learn.heads.gem import Gem
from glocal.learn.heads.superglobal import SuperGlobal
from glocal.learn.model import Model
from glocal.learn.objectives.instance import InstanceDiscrimination
from glocal.registry import part
from measure import arguments, print_table, write_results
from stand_ins import Vectors, evaluate, stand_ins

SIDE, DIM = 224, 512
VIEWS = 4  # of an image: one that hardly changes it, and others
IMAGES = 32  # in a batch, two views of each
REPORTS = 3
HEADS = {"gem": "GeM, projection trained", "dolg": "DOLG", "cfcd": "CFCD", "delf": "DELF, global"}
SETS = ("product image", "walks", "photographed", "unseen copies", "scenes")


def default_trunk() -> EfficientNetLite0:
    """The trunk of the default model, out of its file."""
    trunk = EfficientNetLite0(weights="none").eval()
    fold_norms(trunk)
    whole = Model(trunk, Gem(trunk.levels, dim=DIM), Cells(trunk.levels))
    mix_file(whole, find_model("glocal-lite0"), 1.0)
    return trunk.requires_grad_(False)


@torch.no_grad()
def maps_of(trunk: EfficientNetLite0, images: Tensor) -> tuple[NDArray[np.float16], ...]:
    """The last two maps of ``(n, 3, h, w)``, in half precision."""
    found = trunk(images.contiguous(memory_format=torch.channels_last))
    return tuple(each.numpy().astype(np.float16) for each in found[-2:])


def views_of(trunk: EfficientNetLite0, bank: Bank, chosen: Tensor) -> Maps:
    """Maps of all views, those of an image one after another."""
    fine: list[NDArray[np.float16]] = []
    coarse: list[NDArray[np.float16]] = []
    for part_of in chosen.split(16):
        views = [bank.views(part_of, SIDE, MILD if turn == 0 else STRONG) for turn in range(VIEWS)]
        stacked = torch.stack(views, dim=1).flatten(0, 1)
        for found, kept in zip(maps_of(trunk, stacked), (fine, coarse), strict=True):
            kept.append(found)
    numbers = np.repeat(chosen.numpy(), VIEWS).astype(str)
    return Maps(np.concatenate(fine), np.concatenate(coarse), numbers)


def found_again(head: Head, maps: Maps) -> float:
    """mAP of altered views among the views that hardly change an image."""
    found = vectors(head, maps)
    altered = np.arange(len(found)) % VIEWS > 0
    return evaluate_labelled(
        found[altered], maps.labels[altered], found[~altered], maps.labels[~altered]
    ).mean_ap


def trained(name: str, levels: Any, seen: Maps, aside: Maps, steps: int) -> tuple[Head, str]:
    """A head trained on views, taken at the step at which views kept aside are found best."""
    torch.manual_seed(0)
    images = len(seen.labels) // VIEWS
    made = part("head", name).load()
    head: Head = made(levels, dim=DIM, **({"classes": images} if made.learns_classes else {}))
    objective = InstanceDiscrimination(temperature=0.06, entropy=1.0)
    optimizer = torch.optim.AdamW(head.parameters(), lr=1e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-3, total_steps=steps)
    rng = np.random.default_rng(0)
    best, best_state, best_step = -1.0, head.state_dict(), 0
    for step in range(steps):
        head.train()
        head.progress(step / steps)
        chosen = rng.choice(images, IMAGES, replace=False)
        one = rng.integers(0, VIEWS, IMAGES)
        other = (one + rng.integers(1, VIEWS, IMAGES)) % VIEWS
        rows = np.concatenate([chosen * VIEWS + one, chosen * VIEWS + other])
        labels = torch.from_numpy(np.concatenate([chosen, chosen]))
        output = head(seen.take(rows))
        loss = objective(output.vector, labels) + head.loss(output, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if (step + 1) % max(1, steps // REPORTS) == 0:
            figure = found_again(head, aside)
            print(f"  {name}, step {step + 1}: {figure:.3f}", flush=True)
            if figure > best:
                state = {key: value.clone() for key, value in head.state_dict().items()}
                best, best_state, best_step = figure, state, step + 1
    head.load_state_dict(best_state)
    return head, f"step {best_step} of {steps}"


@torch.no_grad()
def fitted(kind: type[Gem] | type[SuperGlobal], levels: Any, seen: Maps, aside: Maps) -> Any:
    """A pooling whose whitening is fitted to views, with the power that finds views best."""
    best: tuple[float, Head, float] | None = None
    for power in POWERS:
        head = kind(levels, dim=DIM, power=power)
        blocks = range(0, len(seen.labels), 64)
        pooled = [head.pooled(seen.take(slice(begin, begin + 64))) for begin in blocks]
        assert head.whitening is not None
        head.whitening.fit_components(torch.cat(pooled), power=WHITENING)
        figure = found_again(head, aside)
        if best is None or figure > best[0]:
            best = figure, head, power
    assert best is not None
    return best[1], f"power {best[2]:g}"


class WithHead:
    """An encoder of the trunk and one head; maps are computed once for all heads."""

    def __init__(self, trunk: EfficientNetLite0, card: Card) -> None:
        self.card, self.trunk = card, trunk
        self.head: Head | None = None
        self._known: dict[bytes, list[Tensor]] = {}

    @torch.no_grad()
    def encode(self, images: list[NDArray[np.uint8]]) -> list[Features]:
        rows = []
        for image in images:
            square = np.array(Image.fromarray(image).resize((SIDE, SIDE)))
            key = square[::7, ::7].tobytes()
            if key not in self._known:
                pixels = torch.from_numpy(square).permute(2, 0, 1)[None].float() / 255
                self._known[key] = [
                    torch.from_numpy(found) for found in maps_of(self.trunk, pixels)
                ]
            maps = [found.float() for found in self._known[key]]
            assert self.head is not None
            vector = self.head(maps).vector[0].numpy()
            nothing = np.zeros((0, 2), np.float32)
            rows.append(Features(vector, nothing, nothing, nothing[:, 0]))
        return rows


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--pack", type=Path, required=True)
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--count", type=int, default=2400, help="images that are trained on")
    parser.add_argument("--steps", type=int, default=360)
    options = parser.parse_args()
    if options.quick:
        options.count, options.steps = 200, 6
    torch.set_num_threads(1)
    torch.manual_seed(0)
    trunk = default_trunk()
    images, listed = read(options.pack)
    bank = Bank(images, listed, torch.device("cpu"))
    chosen = bank.choose(options.count + options.count // 8)
    seen = views_of(trunk, bank, chosen[: options.count])
    aside = views_of(trunk, bank, chosen[options.count :])
    print(f"{len(seen.labels)} views", flush=True)
    encoder = WithHead(trunk, load_encoder("glocal-lite0").card)
    tasks = stand_ins(options.data, options.images, [])
    tasks = {name: tasks[name] for name in SETS[: 2 if options.quick else None]}
    ways: list[tuple[str, Any]] = [
        ("GeM + whitening, fitted", lambda: fitted(Gem, trunk.levels, seen, aside)),
        ("SuperGlobal + whitening, fitted", lambda: fitted(SuperGlobal, trunk.levels, seen, aside)),
    ]
    for name, title in HEADS.items():
        ways.append(
            (title, lambda name=name: trained(name, trunk.levels, seen, aside, options.steps))
        )
    rows, figures = [], {}
    for title, make in ways:
        head, how = make()
        encoder.head = head.eval()
        found = {
            name: evaluate(task, Vectors(encoder))  # type: ignore[arg-type]  # encodes, as is all that is asked
            for name, task in tasks.items()
        }
        figures[title] = {
            name: {"recall@1": each.recall_at[1], "mAP": each.mean_ap}
            for name, each in found.items()
        } | {"views kept aside, mAP": found_again(head, aside), "chosen": how}
        shown = [f"{100 * each.recall_at[1]:.1f} / {100 * each.mean_ap:.1f}"
                 for each in found.values()]  # fmt: skip
        rows.append((title, 100 * found_again(head, aside), *shown, how))
        print(*rows[-1], sep=" | ", flush=True)
    print_table("One frozen trunk, heads trained by views alone: recall@1 / mAP, per cent",
                ["head", "views kept aside, mAP", *tasks, "chosen"], rows)  # fmt: skip
    write_results("fused_heads", {"steps": options.steps, "rows": figures}, quick=options.quick)


if __name__ == "__main__":
    main()
