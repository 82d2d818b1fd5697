"""Shapes in colours that always go together: a model that learns them has chosen the colours.

Four shapes and four colours are drawn at random places, sizes and brightnesses on noise. In
training each shape has one colour, in another pairing for each seed, so that either tells the
classes apart. What was learned shows where they do not go together: the classes by the nearest mean
of the training images' vectors follow the colour and not the shape, as in the paper.

That both can be learned, and that the report names the one that was, is checked with the first
seed: of images in which all shapes have all colours, the same network learns the shape where shapes
are the labels, and the colour where colours are.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.analyse.cues import CueStudy, nearest_class, on_diagonal, study_cues
from glocal.trials import Claim, Lab
from glocal.trials.data import Labelled
from glocal.trials.zoo import Classifier, SmallResidual, fit, pixels

CLAIM = Claim(
    measured="images whose colour and shape disagree that are given the class of their colour",
    baseline="those that are given the class of their shape",
    unit="per cent",
    comparison=">",
    margin=20.0,
    seeds=6,
)
_SIDE, _CLASSES, _EACH, _STEPS = 24, 4, 40, 120
_COLOURS = np.array([[255, 60, 60], [60, 200, 60], [80, 100, 255], [230, 200, 40]], np.float32)

Cues = dict[str, NDArray[np.int64]]


def method(lab: Lab) -> float:
    """By colour."""
    found = _study(lab.seed, lab.smoke, "both")
    lab.check("images that were asked about", found.images, "=", 2 * _CLASSES * (_CLASSES - 1) * 10)
    if lab.seed == 0:
        for label in ("shape", "colour"):
            alone = _study(lab.seed, lab.smoke, label)
            right = 100 * alone.accuracy[label]
            lab.check(f"per cent by {label}, learned from {label}s alone", right, ">", 85)
            lab.check(f"reports that name another cue than {label}", alone.chosen != label, "=", 0)
    return 100 * found.accuracy["colour"]


def baseline(lab: Lab) -> float:
    """By shape."""
    return 100 * _study(lab.seed, lab.smoke, "both").accuracy["shape"]


@cache
def _study(seed: int, smoke: bool, label: str) -> CueStudy:
    """The report on a network that learned from what both cues say, or from one of them."""
    lab = Lab(seed, smoke=smoke)
    random = lab.random()
    paired = random.permutation(_CLASSES)  # which colour is class k's
    images, cues = _drawn(paired, _EACH, random)
    seen = on_diagonal(cues) if label == "both" else np.ones(len(images), np.bool_)
    labels = cues["shape" if label == "both" else label][seen]
    torch.manual_seed(seed)
    network = Classifier(SmallResidual((8, 16, 24)), _CLASSES)
    fit(network, Labelled(images[seen], labels), steps=lab.steps(_STEPS), seed=seed)
    asked, others = _drawn(paired, 20, random)
    apart = ~on_diagonal(others)
    with torch.no_grad():
        known, wanted = (
            network.vectors(pixels(each)).numpy() for each in (images[seen], asked[apart])
        )
    predicted = nearest_class(known, labels, wanted)
    return study_cues(predicted, {name: values[apart] for name, values in others.items()})


def _drawn(
    paired: NDArray[np.int64], each: int, random: np.random.Generator
) -> tuple[NDArray[np.uint8], Cues]:
    """Images of every shape in every colour, and of which class each of both is."""
    shapes, colours = np.divmod(np.arange(_CLASSES**2 * each) % _CLASSES**2, _CLASSES)
    images = np.stack([_image(*pair, random) for pair in zip(shapes, paired[colours], strict=True)])
    return images, {"shape": shapes, "colour": colours}


def _image(shape: int, colour: int, random: np.random.Generator) -> NDArray[np.uint8]:
    from PIL import Image, ImageDraw

    mask = Image.new("L", (4 * _SIDE, 4 * _SIDE))
    draw, size = ImageDraw.Draw(mask), float(random.uniform(0.4, 0.7)) * 4 * _SIDE
    x, y = random.uniform(2, 4 * _SIDE - size - 2, 2).tolist()
    right, bottom, third = x + size, y + size, size / 3
    if shape == 0:
        draw.ellipse((x, y, right, bottom), fill=255)
    elif shape == 1:
        draw.rectangle((x, y, right, bottom), fill=255)
    elif shape == 2:
        draw.polygon([(x, bottom), (x + size / 2, y), (right, bottom)], fill=255)
    else:
        draw.rectangle((x + third, y, right - third, bottom), fill=255)
        draw.rectangle((x, y + third, right, bottom - third), fill=255)
    covered = np.asarray(mask.resize((_SIDE, _SIDE), Image.Resampling.BOX), np.float32)[..., None]
    ground = random.uniform(40, 120, (_SIDE, _SIDE, 1)) + random.normal(0, 12, (_SIDE, _SIDE, 3))
    thing = _COLOURS[colour] * random.uniform(0.6, 1.0) + random.normal(0, 12, ground.shape)
    made = covered / 255 * thing + (1 - covered / 255) * ground
    return np.clip(made, 0, 255).round().astype(np.uint8)
