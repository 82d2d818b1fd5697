"""Make a toy image-text pair: an image model and a text model in one space, small enough to train.

    python scripts/make_toy_text_pair.py --grocery DATASET --stamps STAMPS --out FOLDER

The text side is the published MiniLM of `glocal.learn.minilm`, as it is. The image side is an
EfficientNet-Lite2 with the weights of ImageNet and a linear head, which learns to put photos of
Grocery's training split, and the stamps of Tux Paint, where MiniLM puts their names and
descriptions. It knows 81 groceries and some hundred things that are drawn; it is no CLIP, and is
here to show and to measure how words reach a gallery. ``glocal text --model FOLDER`` takes it.

Prints what it finds on Grocery's test split, and with ``--hold-out`` on classes it never saw.
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

from glocal.learn.backbones.efficientnet_lite import EfficientNetLite2
from glocal.learn.heads.gem import generalised_mean
from glocal.learn.locked_text import image_vectors, train_image_side
from glocal.learn.minilm import WIDTH, encode_sentences, load_minilm, package_folder

SIDE, TRUNK = 224, 1280


@dataclass(frozen=True, slots=True)
class Pairs:
    """Photos and what is said of each.

    Attributes:
        paths: Of the photos.
        groups: ``(n,)``: photos of one group have the same texts.
        texts: Of each group, its name first.
    """

    paths: list[Path]
    groups: NDArray[np.int64]
    texts: list[list[str]]


class ImageSide(nn.Module):
    """Pixels ``(b, 3, 224, 224)`` in [0, 1] to unit vectors ``(b, 384)``."""

    def __init__(self) -> None:
        super().__init__()
        self.trunk = EfficientNetLite2()
        self.head = nn.Linear(TRUNK, WIDTH)

    def pooled(self, pixels: Tensor) -> Tensor:
        return functional.normalize(generalised_mean(self.trunk(pixels)[-1], 3.0), dim=-1)

    def forward(self, pixel_values: Tensor) -> Tensor:
        return functional.normalize(self.head(self.pooled(pixel_values)), dim=-1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--grocery", type=Path, required=True, help="the folder with train.txt")
    parser.add_argument("--stamps", type=Path, help="a folder of PNG files with .txt beside them")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--hold-out", type=int, default=0, help="classes that are not trained on")
    parser.add_argument("--every", type=int, default=1, help="of the test photos, every n-th")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    torch.set_num_threads(1)
    given.out.mkdir(parents=True, exist_ok=True)
    side = ImageSide().eval().requires_grad_(False)
    grocery = {
        split: read_grocery(given.grocery, split, every)
        for split, every in (("train", 1), ("test", given.every))
    }
    sets = [*grocery.values(), *([read_stamps(given.stamps)] if given.stamps else [])]
    rows = [pooled(side, each, given.out / "cache") for each in sets]
    texts = [encode_groups(each) for each in sets]
    random = np.random.default_rng(given.seed)
    kept_aside = random.permutation(len(sets[0].texts))[: given.hold_out]
    seen = ~np.isin(sets[0].groups, kept_aside)
    train_rows, train_groups = [rows[0][seen]], [sets[0].groups[seen]]
    train_texts = list(texts[0])
    if given.stamps:
        train_rows.append(rows[2])
        train_groups.append(sets[2].groups + len(train_texts))
        train_texts += texts[2]
    seen_rows = np.concatenate(train_rows)
    head = train_image_side(
        seen_rows,
        np.concatenate(train_groups),
        train_texts,
        steps=given.epochs * len(seen_rows) // 256,
        random=random,
    )
    side.head.load_state_dict(head.state_dict())
    found = image_vectors(head, rows[1])
    names = np.stack([each[0] for each in texts[0]])
    report(found, sets[1].groups, names, np.arange(len(names)), "test photos, all classes")
    if given.hold_out:
        inside = np.isin(sets[1].groups, kept_aside)
        report(found[inside], sets[1].groups[inside], names, kept_aside, "classes never seen")
    else:
        export(side, given.out)


def read_grocery(folder: Path, split: str, every: int) -> Pairs:
    """Every n-th photo of a split; of each class its name, what it is, and its description."""
    with (folder / "classes.csv").open(encoding="utf-8") as file:
        classes = list(csv.DictReader(file))
    texts = []
    for row in classes:
        fine, coarse = (
            row[f"{kind}Class Name (str)"].replace("-", " ").lower() for kind in ("", "Coarse ")
        )
        name = fine if coarse in fine else f"{fine} {coarse}"
        said = (folder / row["Product Description Path (str)"].strip("/")).read_text("utf-8")
        sentences = [each.strip() for each in said.replace("\n", " ").split(".") if each.strip()]
        texts.append([name, coarse, f"a photo of {name}", *sentences])
    paths, groups = [], []
    for line in (folder / f"{split}.txt").read_text(encoding="utf-8").splitlines()[::every]:
        path, fine, _ = (field.strip() for field in line.split(","))
        paths.append(folder / path)
        groups.append(int(fine))
    return Pairs(paths, np.array(groups), texts)


def read_stamps(folder: Path) -> Pairs:
    """Drawings and photos cut out, each with its English title."""
    paths, texts = [], []
    for path in sorted(folder.rglob("*.png")):
        said = path.with_suffix(".txt")
        title = said.read_text("utf-8").splitlines()[:1] if said.is_file() else []
        if title and title[0].strip():
            paths.append(path)
            texts.append([title[0].strip().rstrip(".").lower()])
    return Pairs(paths, np.arange(len(paths)), texts)


@torch.no_grad()
def pooled(side: ImageSide, pairs: Pairs, cache: Path) -> NDArray[np.float32]:
    """The trunk's vectors ``(n, 1280)``, kept between runs."""
    cache.mkdir(exist_ok=True)
    kept = cache / f"{len(pairs.paths)}-{pairs.paths[0].stem}.npy"
    if kept.is_file():
        known: NDArray[np.float32] = np.load(kept)
        return known
    found = []
    for path in pairs.paths:
        with Image.open(path) as opened:
            image = opened.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image).convert("RGB")
        image = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(image).copy()).permute(2, 0, 1)[None].float() / 255
        found.append(side.pooled(pixels)[0].numpy())
    rows = np.stack(found)
    np.save(kept, rows)
    return rows


def encode_groups(pairs: Pairs) -> list[NDArray[np.float32]]:
    flat = encode_sentences([text for texts in pairs.texts for text in texts])
    ends = np.cumsum([len(texts) for texts in pairs.texts])[:-1]
    return np.split(flat, ends)


def report(
    vectors: NDArray[np.float32],
    labels: NDArray[np.int64],
    names: NDArray[np.float32],
    among: NDArray[np.int64],
    what: str,
) -> None:
    """Zero-shot accuracy among these classes, and the recall of each name's photos."""
    scores = vectors @ names[among].T
    right = labels[:, None] == among
    accuracy = right[np.arange(len(labels)), scores.argmax(1)].mean()
    recalls = []
    for column in range(len(among)):
        count = int(right[:, column].sum())
        best = np.argsort(-scores[:, column], kind="stable")[:count]
        recalls.append(right[best, column].mean())
    chance = [right[:, column].mean() for column in range(len(among))]
    print(
        f"{what}: {len(labels)} photos, {len(among)} names: accuracy {accuracy:.3f} (chance "
        f"{1 / len(among):.3f}), recall of a name's photos {np.mean(recalls):.3f} (chance "
        f"{np.mean(chance):.3f})"
    )


def export(side: ImageSide, folder: Path) -> None:
    """Write the pair in the layout of exported models of the Hugging Face hub."""
    source = package_folder()
    pixels = torch.zeros(1, 3, SIDE, SIDE)
    _export(side, (pixels,), folder / "vision_model.onnx", ["pixel_values"], "image_embeds", {})
    ids = torch.ones(1, 8, dtype=torch.int64)
    length = {1: torch.export.Dim("tokens", min=2, max=128)}
    _export(
        load_minilm(), (ids, torch.ones_like(ids)), folder / "text_model.onnx",
        ["input_ids", "attention_mask"], "text_embeds",
        {"input_ids": length, "attention_mask": length},
    )  # fmt: skip
    shutil.copyfile(source / "tokenizer.json", folder / "tokenizer.json")
    settings = {
        "do_resize": True, "size": {"height": SIDE, "width": SIDE}, "resample": 3,
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": False,
    }  # fmt: skip
    (folder / "preprocessor_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    (folder / "config.json").write_text(json.dumps({"_name_or_path": "glocal-toy-pair"}) + "\n")
    (folder / "README.md").write_text(
        "---\nlicense: apache-2.0\n---\n\nA toy image-text pair; see "
        "scripts/make_toy_text_pair.py of glocal.\n"
    )


def _export(
    model: nn.Module, example: tuple[Tensor, ...], path: Path, inputs: list[str], output: str,
    shapes: dict[str, object],
) -> None:  # fmt: skip
    torch.onnx.export(
        model.eval(), example, str(path), input_names=inputs, output_names=[output],
        dynamic_shapes=shapes or None, external_data=False, dynamo=True, verbose=False,
    )  # fmt: skip


if __name__ == "__main__":
    main()
