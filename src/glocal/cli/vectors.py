"""Vectors of the images of a data set, encoded in threads and cached in a folder."""

from __future__ import annotations

import hashlib
import logging
import os
import secrets
import sys
import zipfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glocal import __version__
from glocal.encoders import Encoder
from glocal.errors import GlocalError, ImageError, QueryError
from glocal.evaluate.datasets import Sample
from glocal.gallery.ahead import as_finished
from glocal.gallery.results import Failure
from glocal.images import Limits, load

_SHARD = 4096
_DAMAGED = (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile)
_log = logging.getLogger(__name__)

Vectors = NDArray[np.float32]


@dataclass(slots=True)
class VectorCache:
    """A cache of vectors in a folder, keyed by model, file, size and time of change.

    Each run adds files of its own and changes none, so runs may share a folder. The folder may be
    deleted at any time.

    Args:
        folder: The cache; created if it is missing.
        model_sha256: SHA-256 of the model file.

    Raises:
        GlocalError: The folder cannot be created.
    """

    folder: Path
    model_sha256: str
    _keys: list[bytes] = field(default_factory=list)
    _rows: list[Vectors] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.folder = self.folder / self.model_sha256[:16]
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise GlocalError(
                f"the cache folder {self.folder} cannot be created: {error.strerror}; name another"
            ) from error

    def key(self, sample: Sample) -> bytes | None:
        """The key of an image as its file is now, or `None` if there is no file."""
        try:
            state = sample.path.stat()
        except OSError:
            return None
        facts = (
            __version__,
            self.model_sha256,
            os.path.abspath(sample.path),
            state.st_size,
            state.st_mtime_ns,
            sample.region,
        )
        return hashlib.blake2b(os.fsencode(repr(facts)), digest_size=16).digest()

    def fill(self, vectors: Vectors, row_of: Mapping[bytes, int]) -> None:
        """Copy cached vectors into the rows of an array.

        Args:
            vectors: ``(n, d)`` float32, changed in place.
            row_of: Row of each key.
        """
        for path in sorted(self.folder.glob("*.npz")):
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as shard:
                    keys, rows = shard["keys"], shard["vectors"]
                for key, vector in zip(keys, rows, strict=True):
                    row = row_of.get(key.tobytes())
                    if row is not None:
                        vectors[row] = vector
            except _DAMAGED as error:
                _log.warning("ignoring the cache file %s: %s", path, error)

    def put(self, key: bytes, vector: Vectors) -> None:
        """Add a vector; vectors are written some thousands at a time."""
        self._keys.append(key)
        self._rows.append(vector)
        if len(self._keys) >= _SHARD:
            self.flush()

    def flush(self) -> None:
        """Write all vectors that are not written yet.

        Raises:
            OSError: The file cannot be written.
        """
        if not self._keys:
            return
        keys = np.frombuffer(b"".join(self._keys), dtype=np.uint8).reshape(len(self._keys), -1)
        name = self.folder / secrets.token_hex(8)
        unfinished = name.with_suffix(".tmp")
        try:
            with unfinished.open("xb") as file:
                np.savez(file, keys=keys, vectors=np.stack(self._rows))
            unfinished.replace(name.with_suffix(".npz"))
        finally:
            unfinished.unlink(missing_ok=True)
        self._keys, self._rows = [], []


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """Samples as vectors.

    Attributes:
        vectors: ``(n, d)`` float32 rows of unit length; nan where an image could not be read.
        row_of: Row of each sample.
        failed: Images that could not be read, in the order of the samples.
        cached: Number of vectors that came from the cache.
    """

    vectors: Vectors
    row_of: dict[Sample, int]
    failed: tuple[Failure, ...]
    cached: int

    def of(self, samples: Sequence[Sample]) -> Vectors:
        """The ``(n, d)`` vectors of these samples, in their order."""
        rows = np.asarray([self.row_of[sample] for sample in samples], dtype=np.int64)
        whole = np.array_equal(rows, np.arange(len(self.vectors)))
        return self.vectors if whole else self.vectors[rows]


def encode_samples(
    samples: Iterable[Sample],
    encoder: Encoder,
    *,
    limits: Limits,
    cache: VectorCache | None,
    show: bool,
) -> Encoded:
    """Encode every sample once, in threads; only vectors stay in memory.

    Vectors encoded before an interruption are in the cache.

    Args:
        samples: Images to encode; may repeat.
        encoder: The model; called from several threads.
        limits: How large files and images may be.
        cache: Vectors to reuse and to add to, or `None`.
        show: Show a progress bar on standard error if that is a terminal.
    """
    row_of = {sample: row for row, sample in enumerate(dict.fromkeys(samples))}
    vectors = np.full((len(row_of), encoder.dim), np.nan, dtype=np.float32)
    keys = {} if cache is None else {s: key for s in row_of if (key := cache.key(s)) is not None}
    if cache is not None:
        cache.fill(vectors, {key: row_of[sample] for sample, key in keys.items()})
    missing = [sample for sample, row in row_of.items() if np.isnan(vectors[row, 0])]
    reasons: dict[Sample, str] = {}
    bar = _bar(len(row_of), len(row_of) - len(missing), show)
    try:
        with closing(_read_all(missing, encoder, limits)) as reads:
            for sample, answer in reads:
                if isinstance(answer, str):
                    reasons[sample] = answer
                    bar.set_postfix_str(f"{len(reasons)} skipped", refresh=False)
                else:
                    vectors[row_of[sample]] = answer
                    if cache is not None and sample in keys:
                        cache.put(keys[sample], answer)
                bar.update()
    finally:
        bar.close()
        if cache is not None:
            cache.flush()
    failed = tuple(Failure(s.path, reasons[s]) for s in row_of if s in reasons)
    return Encoded(vectors, row_of, failed, len(row_of) - len(missing))


def _read_all(
    samples: Sequence[Sample], encoder: Encoder, limits: Limits
) -> Generator[tuple[Sample, Vectors | str], None, None]:
    """Yield each sample with its vector, or with the reason why it has none, as they finish.

    Closing the generator early stops its threads.
    """

    def read(sample: Sample) -> tuple[Sample, Vectors | str]:
        try:
            image = load(
                sample.path, min_pixels=encoder.card.area, region=sample.region, limits=limits
            )
            return sample, encoder.encode([image.array])[0].vector
        except (ImageError, QueryError) as error:
            return sample, str(error)

    return as_finished(read, samples)


def _bar(total: int, done: int, show: bool) -> Any:
    from tqdm import tqdm  # imported only where images are read

    return tqdm(
        desc="encoding",
        unit=" photos",
        total=total,
        initial=done,
        disable=not (show and sys.stderr.isatty()),
        leave=False,
        dynamic_ncols=True,
        file=sys.stderr,
        mininterval=0.2,
        smoothing=0.1,
    )
