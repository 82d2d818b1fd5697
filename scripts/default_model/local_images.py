"""What local features are trained on: training images, and frames of rendered scenes in pairs."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from pack import wanted
from PIL import Image
from torch import Tensor
from train import VIEWS, Places
from walks import Cameras, cameras_of, render

from glocal.learn.places.boxes import TEXEL

SIDE = 448
FRAME = (256, 192)
SHARES = {"photo": 0.45, "product": 0.3, "texture": 0.15, "drawing": 0.1}


def _opened(path: Path) -> tuple[np.ndarray, float] | None:
    """An image squashed to a square, and its proportions; `None` where it is small or empty."""
    try:
        with Image.open(path) as image:
            width, height = image.size
            if width * height < 300 * 300 or not 0.4 < width / height < 2.5:
                return None
            if "A" in image.mode or image.mode == "P":  # cut-outs, whose ground is arbitrary
                return None
            image.draft("RGB", (SIDE, SIDE))
            square = image.convert("RGB").resize(
                (SIDE, SIDE), Image.Resampling.LANCZOS, reducing_gap=2.0
            )
    except OSError:
        return None
    pixels = np.asarray(square)
    return (pixels, width / height) if pixels.std() >= 18 else None


def read_images(images: Path, grocery: Path, cache: Path) -> tuple[np.ndarray, Tensor, Tensor]:
    """Training images ``(n, 448, 448, 3)`` uint8, their proportions, and their weights."""
    file, known = cache.with_suffix(".images.npy"), cache.with_suffix(".images.json")
    if not known.is_file():
        rows = wanted(images, grocery)
        with ThreadPoolExecutor(2) as pool:
            opened = list(pool.map(_opened, [path for path, _, _ in rows]))
        kept = [(*found, kind) for found, (_, kind, _) in zip(opened, rows, strict=True) if found]
        np.save(file, np.stack([pixels for pixels, _, _ in kept]))
        known.write_text(json.dumps([[aspect, kind] for _, aspect, kind in kept]))
    listed = json.loads(known.read_text())
    kinds = np.array([kind for _, kind in listed])
    weights = np.zeros(len(kinds))
    for kind, share in SHARES.items():
        weights[kinds == kind] = share / max(1, (kinds == kind).sum())
    aspects = torch.tensor([aspect for aspect, _ in listed], dtype=torch.float32)
    return np.load(file, mmap_mode="r"), aspects, torch.from_numpy(weights)


@dataclass(frozen=True, slots=True)
class Shown:
    """Frames of rendered scenes.

    Attributes:
        frames: ``(n, 3, h, w)`` uint8.
        points: what each pixel shows, ``(n, h, w, 3)``, in metres.
        spots: numbers of the frames of each spot, ``(m, VIEWS)``.
    """

    frames: Tensor
    points: Tensor
    spots: Tensor

    def pairs(self, count: int) -> tuple[Tensor, Tensor]:
        """Two frames of each of some spots, in turns, in [0, 1], and what they show."""
        groups = torch.randint(len(self.spots), (count,))
        chosen = torch.cat([self.spots[g][torch.randperm(VIEWS)[:2]] for g in groups.tolist()])
        return self.frames[chosen].float() / 255, self.points[chosen].float()


def read_frames(images: np.ndarray, worlds: int, cache: Path) -> Shown:
    """Render all spots of some scenes, or read what was rendered before."""
    file = cache.with_suffix(".frames.pt")
    if not file.is_file():
        _render(images, worlds, file)
    frames, points = torch.load(file, mmap=True)
    spots = torch.arange(len(frames)).view(-1, VIEWS)
    varied = frames.view(len(frames), -1)[:, ::61].float().std(dim=1) > 15
    return Shown(frames, points, spots[varied.view(-1, VIEWS).all(dim=1)])


def _render(images: np.ndarray, worlds: int, file: Path) -> None:
    listed = json.loads(file.with_name(file.name.replace(".frames.pt", ".images.json")).read_text())
    rng = np.random.default_rng(9)
    some = rng.permutation(len(images))[:3000]
    small = np.stack([np.asarray(Image.fromarray(images[i]).resize((TEXEL, TEXEL))) for i in some])
    places = Places(small, [listed[i][1] for i in some], worlds, torch.device("cpu"))
    frames, points = [], []
    for scene, cameras in enumerate(places.cameras):
        count = len(cameras) // VIEWS * VIEWS
        light = torch.exp(torch.randn(count, 2) * torch.tensor([0.25, 0.5])).clamp(0.3, 2)
        lens = (-torch.rand(count // VIEWS) * 0.35).repeat_interleave(VIEWS)
        lens = (lens + 0.05 * torch.randn(count)).clamp(-0.4, 0.0)
        chosen = cameras_of(places.world, [scene] * count, cameras[:count], lens, light)
        for part in torch.arange(count).split(4):
            some_cameras = Cameras(*(getattr(chosen, name)[part] for name in Cameras.__slots__))
            views, shown = render(places.world, some_cameras, FRAME)
            frames.append((views * 255).round().to(torch.uint8))
            points.append(shown.half())
        if scene % 20 == 0:
            print(f"{scene} scenes of {len(places.cameras)} rendered", flush=True)
    torch.save((torch.cat(frames), torch.cat(points)), file)
