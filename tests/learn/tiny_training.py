"""A backbone to train in tests, small data sets, and a process that trains until it is killed."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tiny_backbone import Tiny

from glocal.errors import PartError
from glocal.learn.settings import Settings
from glocal.learn.training import train
from glocal.registry import Part, register


class TrainableTiny(Tiny):
    """`Tiny` with the arguments that the registry passes."""

    def __init__(self, *, weights: str = "imagenet") -> None:
        super().__init__()
        self.weights = weights


def register_tiny() -> None:
    try:
        register(Part("backbone", "tiny", "a test", "tiny_training:TrainableTiny"))
    except PartError:
        return  # registered already


def tiny_settings(**changes) -> Settings:
    """Settings of a small, quick training; three labels fit a batch."""
    standard = {
        "backbone": "tiny", "head": "gem", "dim": 8, "epochs": 2, "batch": 6, "views": 4,
        "side": 32, "input_side": 64, "workers": 1, "device": "cpu", "seed": 5, "patience": 0,
    }  # fmt: skip
    if "minutes" in changes:
        del standard["epochs"]
    return Settings(**(standard | changes))


def colourful(random: np.random.Generator, hue: int, size: tuple[int, int] = (48, 40)):
    """A noisy image ``(h, w, 3)`` whose label is its colour."""
    width, height = size
    image = random.integers(0, 90, (height, width, 3))
    image[..., hue % 3] += 120
    image[: height // 2, :, (hue + 1) % 3] += 60 * (hue // 3)
    return image.astype(np.uint8)


def make_labelled(folder: Path, labels: int = 4, each: int = 8) -> Path:
    random = np.random.default_rng(1)
    for label in range(labels):
        (folder / f"label{label}").mkdir(parents=True)
        for number in range(each):
            image = Image.fromarray(colourful(random, label))
            image.save(folder / f"label{label}" / f"{number}.png")
    return folder


def make_plain(folder: Path, count: int = 12) -> Path:
    random = np.random.default_rng(2)
    for number in range(count):
        place = folder / f"part{number % 2}"
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(colourful(random, number % 6, (44, 60))).save(place / f"{number}.png")
    return folder


class Quiet:
    """Records the progress of a training."""

    def __init__(self) -> None:
        self.unfit, self.steps = {}, []
        self.done_at_start = None

    def copying(self, done, total):
        self.copied = (done, total)

    def skipping(self, unfit):
        self.unfit = unfit

    def beginning(self, samples, done):
        self.done_at_start = done

    def learning(self, done, figures):
        self.steps.append(figures)


class Endless(Quiet):
    """Prints each step, so that the test can kill the process after one."""

    def learning(self, done, figures):
        print(len(self.steps), flush=True)
        super().learning(done, figures)


if __name__ == "__main__":
    import torch

    torch.set_num_threads(1)
    register_tiny()
    data, also, run = map(Path, sys.argv[1:4])
    train(data, tiny_settings(check=4), run=run, also=[also], listener=Endless())
