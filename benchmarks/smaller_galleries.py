"""Accuracy against bytes: ways to keep an image's vector, and its local features.

    python benchmarks/smaller_galleries.py --work DIR [--model NAME] [--only vectors|local]

Every way starts from the same vectors and local features, which are encoded once and kept in DIR.
What has to be fitted or chosen (directions, dimensions, codebooks) is fitted to Grocery's training
photos; their own row, and the sets "copies 0" and "products train", are there to choose by, the
others to judge by. Queries keep their own vector and local features as the model gives them.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from calibrate_verification import DETECTORS
from glocal.compress import make_vector_compressor
from glocal.encoders import DEFAULT_MODEL, Detector, LocalFeatures, load_encoder
from glocal.gallery.packed_features import pack, unpack
from glocal.gallery.small_images import to_jpeg
from glocal.gallery.stores.coding import BYTES, HALVES
from glocal.ranking.calibration import calibrations
from measure import print_table, write_results
from smaller_data import Asked, Encoded, Floats, encoded
from verification import report
from verification_pairs import Known, verify_set

Map = Callable[[Floats], Floats]


def levels(vectors: Floats, most: int) -> Floats:
    """Numbers in so many parts of the greatest one of each vector, to either side of zero."""
    greatest = np.abs(vectors).max(axis=-1, keepdims=True)
    return np.asarray(np.rint(vectors * (most / np.maximum(greatest, 1e-12))), np.float32)


def unit(vectors: Floats) -> Floats:
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def same(vectors: Floats) -> Floats:
    return vectors


def in_int8(vectors: Floats) -> Floats:
    return BYTES.vectors(BYTES.coded(vectors))


def vector_ways(train: Floats) -> Iterator[tuple[str, float, Map, Map]]:
    """Name, bytes, what becomes of a query, what of a vector of the gallery."""
    dim = train.shape[1]
    yield "float32", 4 * dim, same, same
    yield "float16", 2 * dim, same, lambda v: HALVES.vectors(HALVES.coded(v))
    yield "int8", BYTES.row(dim).itemsize, same, in_int8
    yield "4 bits", dim / 2, same, lambda v: unit(levels(v, 7))
    yield "3 bits", 3 * dim / 8, same, lambda v: unit(levels(v, 3))
    yield "signs, query as it is", dim / 8, same, lambda v: unit(np.sign(v))
    for name in ("pca", "inf-fs", "variance"):
        made = make_vector_compressor(name)
        for short in (448, 384, 256, 128):
            if short < dim:
                project = made.plan(train, short).apply
                size = BYTES.row(short).itemsize
                yield f"{name} {short}, int8", size, project, partial(_short, project)


def _short(project: Map, vectors: Floats) -> Floats:
    return in_int8(project(vectors))


def by_vector(asked: Asked, query: Map, kept: Map) -> tuple[float, float]:
    """Recall@1 and mAP in per cent, of queries that have an answer."""
    queries, gallery = query(asked.queries), kept(asked.gallery)
    labels = np.array(asked.labels)
    first, precision = [], []
    for number, label in enumerate(asked.query_labels):
        scores = gallery @ queries[number]
        right = labels == label
        if asked.itself:
            scores, right = np.delete(scores, number), np.delete(right, number)
        if not right.any():
            continue
        places = np.flatnonzero(right[np.argsort(-scores, kind="stable")])
        first.append(places[0] == 0)
        precision.append(float(np.mean(np.arange(1, len(places) + 1) / (places + 1))))
    return 100 * float(np.mean(first)), 100 * float(np.mean(precision))


def vectors_table(data: Encoded) -> list[dict[str, object]]:
    rows = []
    for name, size, query, kept in vector_ways(data.asked["grocery train"].gallery):
        row: dict[str, object] = {"way": name, "bytes": round(size)}
        for which, asked in data.asked.items():
            row[which] = "{:.1f} / {:.1f}".format(*by_vector(asked, query, kept))
        rows.append(row)
        print(row, flush=True)
    return rows


def local_ways(train: NDArray[np.float32]) -> Iterator[tuple[str, float, Map]]:
    """Name, bytes of a descriptor, what becomes of descriptors ``(n, e)``."""
    dim = train.shape[1]
    yield "int8, by 127", dim, lambda d: unit(np.rint(127 * d))
    yield "4 bits", dim / 2, lambda d: unit(levels(d, 7))
    yield "product, 12 pieces", 12, product(train, 12)
    yield "codes, as kept", 12, in_codes
    yield "signs", dim / 8, lambda d: unit(np.sign(d))
    yield "3 bits", 3 * dim / 8, lambda d: unit(levels(d, 3))
    yield "product, 24 pieces", 24, product(train, 24)
    yield "product, 6 pieces", 6, product(train, 6)
    yield "float32", 4 * dim, same


def in_codes(descriptors: Floats) -> Floats:
    """As a compact gallery keeps them."""
    count = len(descriptors)
    local = LocalFeatures(
        np.zeros((count, 2), np.float32), descriptors, np.zeros(count, np.float32)
    )
    return unpack(pack(local, form="codes")).descriptors


def product(train: NDArray[np.float32], pieces: int, seed: int = 0) -> Map:
    """Product quantisation (Jegou et al., 2011): 256 means for each piece of a descriptor."""
    from sklearn.cluster import MiniBatchKMeans

    chosen = np.random.default_rng(seed).permutation(len(train))[:50_000]
    books = [
        MiniBatchKMeans(256, random_state=seed, n_init=1, batch_size=4096).fit(piece)
        for piece in np.split(train[chosen], pieces, axis=1)
    ]

    def code(descriptors: Floats) -> Floats:
        parts = np.split(np.ascontiguousarray(descriptors), pieces, axis=1)
        told = [b.cluster_centers_[b.predict(p)] for b, p in zip(books, parts, strict=True)]
        return unit(np.concatenate(told, axis=1).astype(np.float32))

    return code


def local_table(data: Encoded, model: str, only: list[str]) -> list[dict[str, object]]:
    encoder = load_encoder(model)
    make, scales = DETECTORS["own"]
    detector = _Remembering(make(encoder))
    calibration = calibrations()[detector.name]
    photos = data.images.add_all(Path(p) for p in data.asked["altered copies"].labels)
    train = np.concatenate([data.local[number].descriptors for number in photos])
    small = [to_jpeg(each) for each in data.small]
    rows = []
    for name, each, kept in local_ways(train):
        if only and name not in only:
            continue
        local = [replace(one, descriptors=kept(one.descriptors)) for one in data.local]
        known = _Kept(data.vectors, data.sizes, small, local)
        size = round(5 + 128 * (6 + each))
        for made in data.verified.values():
            if made.name == "scenes":  # those of one court are the same photos
                continue
            pairs = verify_set(made, data.images, known, detector, calibration, scales)
            row = {"way": name, "bytes": size, "report": report(made, pairs, calibration)}
            rows.append(row)
            print(name, size, row["report"], flush=True)
    return rows


class _Remembering:
    """A detector that finds the local features of an image once."""

    def __init__(self, detector: Detector) -> None:
        self.name, self.area = detector.name, detector.area
        self._detector = detector
        self._known: dict[tuple[int, float], LocalFeatures] = {}

    def detect(self, image: NDArray[np.uint8], *, scale: float = 1.0) -> LocalFeatures:
        key = crc32(image.tobytes()), scale
        if key not in self._known:
            self._known[key] = self._detector.detect(image, scale=scale)
        return self._known[key]


class _Kept(Known):
    """What a gallery would hold, with local features as they were changed."""

    def __init__(
        self,
        vectors: Floats,
        sizes: list[tuple[int, int]],
        small: list[bytes],
        local: list[LocalFeatures],
    ) -> None:
        one = local[0]
        nothing = LocalFeatures(one.keypoints[:0], one.descriptors[:0], one.scores[:0])
        super().__init__(vectors, sizes, [pack(nothing, each) for each in small])
        self._local = local

    def parts(self, number: int, calibration: object) -> LocalFeatures:
        return self._local[number].scored_above(calibration.min_score)  # type: ignore[attr-defined]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", type=Path, required=True, help="keeps what was encoded")
    parser.add_argument("--model", default=DEFAULT_MODEL)
    parser.add_argument("--only", choices=["vectors", "local"])
    parser.add_argument("--ways", nargs="*", default=[], help="of local features")
    options = parser.parse_args()
    data = encoded(load_encoder(options.model), options.work)
    for what in ("vectors", "local"):
        if options.only in (None, what):
            if what == "vectors":
                rows = vectors_table(data)
            else:
                rows = local_table(data, options.model, options.ways)
            print_table(what, [*rows[0]], [[*row.values()] for row in rows])
            write_results(f"smaller_{what}", {"model": options.model, "rows": rows}, quick=False)


if __name__ == "__main__":
    main()
