"""The large-kernel backbone learns images, and without a change also spectrograms of sounds.

Sounds are made: a tone with harmonics rises, falls, does so twice, or trembles slowly or fast, at a
random pitch, loudness and length, in noise. Rising and falling differ in nothing but the order of
time, which the mean spectrum does not know.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from glocal.learn.backbones.unireplknet import UniRepLkNetTiny
from glocal.trials import Claim, Lab
from glocal.trials.backbone_checks import check_use
from glocal.trials.data import Labelled, mean_ap
from glocal.trials.zoo import Classifier, fit, pixels

CLAIM = Claim(
    measured="mAP of retrieval of sounds by the network's vectors of their spectrograms",
    baseline="by their mean spectra",
    unit="per cent",
    comparison=">",
    margin=10.0,
)
_KINDS = 5
_SIDE, _HOP = 32, 32


def method(lab: Lab) -> float:
    """Train on spectrograms as images, and retrieve others; the same network on digits."""
    check_use(lab, UniRepLkNetTiny, steps=60)
    torch.manual_seed(lab.seed)
    random = lab.random()
    model = Classifier(UniRepLkNetTiny(), _KINDS)
    fit(model, _sounds(random, 200), steps=lab.steps(60), seed=lab.seed, batch=32)
    test = _sounds(random, 150)
    with torch.no_grad():
        vectors = model.eval().vectors(pixels(test.images)).numpy()
    return _mean_ap(vectors, test.labels)


def baseline(lab: Lab) -> float:
    """Retrieve the same sounds by the mean of their spectrograms over time."""
    random = lab.random()
    _sounds(random, 200)
    test = _sounds(random, 150)
    return _mean_ap(test.images[..., 0].mean(axis=2), test.labels)


def _sounds(random: np.random.Generator, count: int) -> Labelled:
    """Spectrograms as grey images ``(n, 32, 32, 3)``, low frequencies below, with their kinds."""
    labels = random.integers(0, _KINDS, count)
    time = np.linspace(0, 1, _SIDE * _HOP, endpoint=False)
    images = np.empty((count, _SIDE, _SIDE, 3), np.uint8)
    for number, kind in enumerate(labels):
        course = (
            *(time - 0.5, 0.5 - time, (2 * time) % 1 - 0.5),
            *(0.4 * np.sin(8 * np.pi * time), 0.4 * np.sin(24 * np.pi * time)),
        )[kind]
        # In parts of the highest frequency that the samples can carry.
        pitch = random.uniform(0.14, 0.22) * 2.0 ** (course * random.uniform(0.7, 1.3))
        phase = np.cumsum(pitch) * np.pi
        sound = sum(np.sin(harmonic * phase) / harmonic for harmonic in (1, 2, 3))
        sound = random.uniform(0.3, 1) * sound + 0.2 * random.standard_normal(len(time))
        images[number] = _spectrogram(sound)[:, :, None]
    return Labelled(images, labels.astype(np.int64))


def _spectrogram(sound: NDArray[np.float64]) -> NDArray[np.uint8]:
    frames = np.lib.stride_tricks.sliding_window_view(np.pad(sound, _HOP // 2), 2 * _HOP)[::_HOP]
    power = np.abs(np.fft.rfft(frames * np.hanning(2 * _HOP)))[:, :_SIDE]
    loud = np.log10(np.maximum(power, 1e-2))
    scaled = (loud - loud.min()) / (loud.max() - loud.min()) * 255
    padded = np.zeros((_SIDE, _SIDE))
    padded[: len(scaled)] = scaled[:_SIDE]
    return padded.T[::-1].astype(np.uint8)


def _mean_ap(vectors: NDArray[np.floating], labels: NDArray[np.int64]) -> float:
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    return mean_ap(centred / np.linalg.norm(centred, axis=1, keepdims=True), labels)
