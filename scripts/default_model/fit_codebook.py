"""Fit the codebook by which compact galleries keep the default model's local descriptors.

    python scripts/default_model/fit_codebook.py MODEL.onnx IMAGES GROCERY CODEBOOK.npy

IMAGES and GROCERY are as in `pack.py`; only training images are used. Product quantisation (Jégou,
Douze and Schmid, "Product Quantization for Nearest Neighbor Search", 2011): 256 means for each of
twelve pieces of a descriptor. Printed is how well the descriptors of images kept aside agree with
what their codes say, image by image.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pack import wanted
from sklearn.cluster import KMeans

from glocal.encoders import OnnxEncoder
from glocal.images import load

PIECES, MEANS = 12, 256
FITTED, ASIDE = 3_000, 1_000  # images
MOST = 150_000  # descriptors


def descriptors(model: Path, paths: list[Path]) -> list[NDArray[np.float32]]:
    encoder = OnnxEncoder(model)
    return [encoder.encode([load(p, min_side=320).array])[0].descriptors for p in paths]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("images", type=Path)
    parser.add_argument("grocery", type=Path)
    parser.add_argument("book", type=Path)
    options = parser.parse_args()
    random = np.random.default_rng(0)
    rows = wanted(options.images, options.grocery)
    chosen = [rows[n][0] for n in random.permutation(len(rows))[: FITTED + ASIDE]]
    found = descriptors(options.model, chosen)
    fitted = np.concatenate(found[:FITTED])
    fitted = fitted[random.permutation(len(fitted))[:MOST]]
    book = np.stack(
        [
            KMeans(MEANS, n_init=1, max_iter=40, random_state=0).fit(piece).cluster_centers_
            for piece in np.split(fitted, PIECES, axis=1)
        ]
    ).astype("<f2")
    np.save(options.book, book)
    agreement = []
    for image in found[FITTED:]:
        if not len(image):
            continue
        said = np.empty_like(image)
        for piece, (given, means) in enumerate(
            zip(np.split(image, PIECES, axis=1), book.astype(np.float32), strict=True)
        ):
            nearest = ((given[:, None] - means) ** 2).sum(2).argmin(1)
            wide = given.shape[1]
            said[:, piece * wide : (piece + 1) * wide] = means[nearest]
        lengths = np.linalg.norm(said, axis=1) * np.linalg.norm(image, axis=1)
        agreement.append(float(((said * image).sum(1) / np.maximum(lengths, 1e-12)).mean()))
    quantiles = np.quantile(agreement, (0, 0.001, 0.01, 0.5, 1)).round(4)
    print(
        f"{len(agreement)} images, mean cosine of each: least, .1 %, 1 %, median, most {quantiles}"
    )


if __name__ == "__main__":
    main()
