"""Galleries of any size without encoding as many images, filled through glocal's own classes.

The vectors are made to lie as those of photographs do. Of 1,500 Grocery photos under version 1 of
glocal-lite0 (256 numbers) and of as many vectors made here, in this order: local dimension (Levina
and Bickel's estimate from ten neighbours) 11.4 and 11.0; cosine to the nearest 0.63 and 0.69, to
the tenth 0.40 and 0.53; dimensions that the variance spreads over (participation ratio) 82 and 91.
Vectors drawn uniformly would have neighbours that are all equally far, and vectors in few
dimensions would make any graph look good. Nothing to run by itself.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.encoders import LocalFeatures
from glocal.gallery import packed_features
from glocal.gallery.catalog import Catalog, Content, FileState
from glocal.gallery.describing import content_id
from glocal.gallery.layout import Layout, open_layout
from glocal.gallery.records import Record
from glocal.gallery.rows import RowTable
from glocal.gallery.stores.flat import FlatStore

Vectors = NDArray[np.float32]

DIM = 512
FOLDERS = 500
CAMERAS = ("Canon EOS R6", "NIKON Z 6_2", "SONY ILCE-7M4", "Apple iPhone 13", "Google Pixel 7")
_CHUNK = 2_000
_YEAR = 365 * 86_400
_CLUSTER = 40  # images to a subject, on average
_WIDE = 140  # dimensions in which subjects differ
_LOCAL = 25  # dimensions in which the images of one subject differ
_WAYS = 64  # different sets of those


class Space:
    """Clustered unit vectors, drawn as many as are wanted without keeping them.

    Args:
        count: of vectors that will be drawn for a gallery; sets the number of clusters.
        dim: of the vectors.
    """

    def __init__(self, count: int, dim: int = DIM) -> None:
        random = np.random.default_rng(0)
        falling = (1 + np.arange(_WIDE)) ** -0.3
        wide = _orthonormal(_WIDE, dim, random) * falling[:, None].astype(np.float32)
        subjects = max(10, count // _CLUSTER)
        self._centres = random.standard_normal((subjects, _WIDE), np.float32) @ wide
        self._centres /= np.linalg.norm(self._centres, axis=1, keepdims=True)
        self._ways = [_orthonormal(_LOCAL, dim, random) / np.sqrt(_LOCAL) for _ in range(_WAYS)]

    def draw(self, count: int, seed: int) -> Vectors:
        """Draw ``(count, dim)`` float32 unit vectors, the same for the same seed."""
        random = np.random.default_rng([1, seed])
        which = random.integers(0, len(self._centres), count)
        spread = 1.2 * np.exp(0.5 * random.standard_normal((count, 1), np.float32))
        local = spread * random.standard_normal((count, _LOCAL), np.float32)
        drawn = self._centres[which]
        drawn += 0.006 * random.standard_normal(drawn.shape, np.float32)
        for number, way in enumerate(self._ways):
            those = which % _WAYS == number
            drawn[those] += local[those] @ way
        drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
        return drawn.astype(np.float32)

    def queries(self, count: int) -> Vectors:
        """Draw vectors that no gallery of this space holds: other images of its subjects."""
        return self.draw(count, seed=2**31)


def _orthonormal(rows: int, dim: int, random: np.random.Generator) -> Vectors:
    return np.linalg.qr(random.standard_normal((dim, rows)))[0].T.astype(np.float32)


@dataclass(frozen=True, slots=True)
class Filled:
    """A gallery that was filled, and what it cost.

    Attributes:
        folder: of the gallery.
        space: its vectors were drawn from.
        write_seconds: to write catalogue and vectors, without drawing them.
        graph_seconds: to build the graph.
    """

    folder: Path
    space: Space
    write_seconds: float
    graph_seconds: float


def image_folders(root: Path, count: int) -> Iterator[tuple[Path, range]]:
    """Folders and the numbers of the images in each: ``count`` in all, over `FOLDERS`."""
    for number in range(min(FOLDERS, count)):
        folder = root / f"{2005 + number % 20}" / f"album-{number:03d}"
        yield folder, range(number, count, FOLDERS)


def file_name(number: int) -> str:
    """What the image with this number is called."""
    return f"IMG_{number:07d}.jpg"


def file_data(number: int) -> bytes:
    """What stands in for an image's file where nobody will read it."""
    return f"image {number}".encode()


def fill_gallery(
    folder: Path,
    count: int,
    *,
    root: Path,
    with_local_features: bool = False,
    with_graph: bool = True,
    files_exist: bool = False,
    data_of: Callable[[int], bytes] = file_data,
) -> Filled:
    """Make a gallery of images that were never read, as an index run would leave it.

    Args:
        folder: of the gallery, new.
        count: of images.
        root: below which they lie, as `image_folders` has it.
        with_local_features: write local features too, of the size that the model makes.
        with_graph: build the graph if glocal would.
        files_exist: take size and time of each file from the disk.
        data_of: the bytes of the file with this number; they give its content's id.
    """
    layout = open_layout(folder, model=None, sha256=None, create=True, timeout=10)
    space = Space(count, layout.model.dim)
    catalog = Catalog(layout.catalog)
    store = FlatStore(
        layout.vectors,
        layout.model.dim,
        RowTable(catalog, layout.model.space),
        layout.store.coding,
    )
    packed = _packed_parts(layout) if with_local_features else []
    rows = _rows(root, count, catalog, files_exist=files_exist)
    written = 0.0
    for start in range(0, count, _CHUNK):
        size = min(_CHUNK, count - start)
        vectors = space.draw(size, seed=start)
        chunk = [next(rows) for _ in range(size)]
        contents = [_content(number, content_id(data_of(number))) for number, *_ in chunk]
        began = time.perf_counter()
        with catalog.change():
            store.upsert(
                [
                    Record(content.id, vector, content.attributes(above))
                    for content, vector, (_, _, above, _) in zip(
                        contents, vectors, chunk, strict=True
                    )
                ]
            )
            catalog.put_contents(
                contents,
                [(c.id, packed[i % len(packed)]) for i, c in enumerate(contents)] if packed else [],
            )
            catalog.put_files(
                (parent, FileState(name, size, modified, content.id))
                for content, (_, parent, _, (name, size, modified)) in zip(
                    contents, chunk, strict=True
                )
            )
        written += time.perf_counter() - began
    catalog.add_root(root)
    began = time.perf_counter()
    if with_graph and store.maintain():
        while store.status().building:
            time.sleep(0.02)
    graph = time.perf_counter() - began
    if (error := store.status().build_error) is not None:
        raise SystemExit(f"the graph could not be built: {error}")
    store.close()
    catalog.close()
    return Filled(folder, space, written, graph if with_graph else 0.0)


_Row = tuple[int, int, tuple[int, ...], tuple[bytes, int, int]]


def _rows(root: Path, count: int, catalog: Catalog, *, files_exist: bool) -> Iterator[_Row]:
    """Number, folder, its lineage, and name, size and time of each file, folder by folder."""
    for folder, numbers in image_folders(root, count):
        parent = catalog.folder(folder, _device if files_exist else lambda _: None)
        above = tuple(sorted(catalog.lineage(parent)))
        for number in numbers:
            name = file_name(number)
            size, modified = 1_500_000 + 37 * number % 2_000_000, 1_500_000_000 * 10**9 + number
            if files_exist:
                found = os.stat(folder / name)
                size, modified = found.st_size, found.st_mtime_ns
            yield number, parent, above, (os.fsencode(name), size, modified)


def _device(folder: Path) -> int:
    return folder.stat().st_dev


def _content(number: int, content: UUID) -> Content:
    """Facts as photographs have them: four in five say when and with what, three in five where."""
    random = Random(number)
    width, height = (3024, 4032) if random.random() < 0.3 else (4032, 3024)
    if random.random() < 0.2:
        return Content(content, 1600, 1200, 400_000 + number % 100_000, None, None, None, None)
    placed = random.random() < 0.75
    latitude = min(max(random.gauss(48.85, 8), -89.0), 89.0) if placed else None
    longitude = min(max(random.gauss(2.35, 20), -179.0), 179.0) if placed else None
    return Content(
        content,
        width,
        height,
        1_500_000 + 37 * number % 2_000_000,
        int(1_104_537_600 + 20 * _YEAR * random.random()),  # 2005 to 2024
        CAMERAS[int(len(CAMERAS) * random.random() ** 2)],
        latitude,
        longitude,
    )


def _packed_parts(layout: Layout) -> list[bytes]:
    """Local features such as the gallery's model makes, packed: as many and as long for a photo."""
    from glocal.encoders import OnnxEncoder

    random = np.random.default_rng(4)
    noise = random.integers(0, 256, (320, 320, 3), dtype=np.uint8)
    count, dim = OnnxEncoder(layout.model_file).encode([noise])[0].descriptors.shape
    return [packed_features.pack(_local_features(count, dim, random)) for _ in range(64)]


def _local_features(count: int, dim: int, random: np.random.Generator) -> LocalFeatures:
    descriptors = random.standard_normal((count, dim), np.float32)
    descriptors /= np.linalg.norm(descriptors, axis=1, keepdims=True)
    points = random.random((count, 2), np.float32)
    scores = np.sort(random.random(count, np.float32))[::-1]
    return LocalFeatures(points, descriptors, scores)


def gallery_at(place: Path, count: int, root: Path) -> Filled:
    """The gallery with its graph in this folder, filled now unless an earlier run has done it."""
    folder = place / f"gallery-{count}"
    done = place / f"gallery-{count}.filled"
    if done.exists():
        return Filled(folder, Space(count), 0.0, 0.0)
    shutil.rmtree(folder, ignore_errors=True)  # one that was cut short
    filled = fill_gallery(folder, count, root=root, with_local_features=True)
    done.touch()
    return filled
