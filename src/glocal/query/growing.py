"""Classes that grow: images and classes are added one session after the other, exactly."""

from __future__ import annotations

import os
import zipfile
import zlib
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import QueryError

RIDGE = 1.0
"""What is added to the covariance, in parts of its mean variance."""

LONGEST = 8192
"""Longest vectors: the sums are of their products."""

MOST_BYTES = 1 << 30
"""Largest file that is read."""

_DAMAGED = (
    *(zipfile.BadZipFile, zlib.error, EOFError, RuntimeError),  # of an archive
    *(KeyError, TypeError, ValueError),  # of what is in it
)
_ARRAYS = ("classes", "counts", "sums", "products", "ridge")


class GrowingClasses:
    """Linear discriminant analysis that is updated exactly and keeps no image.

    With the N vectors x seen so far, ``n_c`` of class c and the sum ``s_c`` of them, what is kept
    is ``n_c``, ``s_c`` and ``A = sum x x^T``. From these come the means ``mu_c = s_c / n_c``, the
    pooled covariance ``S = (A - sum_c n_c mu_c mu_c^T) / (N - 1)`` and the logits

    ``w_c . x + b_c``, where ``w_c = (S + r I)^-1 mu_c``, ``b_c = log(n_c / N) - mu_c . w_c / 2``.

    They are the same whether vectors came at once or in any sessions: nothing is forgotten, and
    classes may be new at any time. The vectors have to be of one model, which is adapted, if at
    all, to the first session's classes and then stays as it is.

    Source: Panos, Kobe, Olmeda Reino, Aljundi and Turner, First Session Adaptation: A Strong
    Replay-Free Baseline for Class-Incremental Learning, 2023.

    Deviations: r is a part of the mean variance, so that the scale of the vectors does not count,
    where the paper adds the identity. The adaptation in the first session is any training of
    glocal; the paper's feature-wise modulation is not here.

    Args:
        ridge: r, in parts of the mean variance, above 0.

    Attributes:
        classes: Labels seen so far, in the order in which they came; columns of the logits.

    Raises:
        QueryError: The ridge is out of range.
    """

    def __init__(self, *, ridge: float = RIDGE) -> None:
        if not 0 < ridge < np.inf:
            raise QueryError(f"the ridge has to be above 0 and finite, not {ridge:g}")
        self.ridge = ridge
        self.classes: list[int] = []
        self._counts = np.zeros(0)
        self._sums = np.zeros((0, 0))
        self._products = np.zeros((0, 0))
        self._fitted: tuple[NDArray[np.float64], NDArray[np.float64]] | None = None

    def add(self, vectors: ArrayLike, labels: ArrayLike) -> None:
        """Add a session; the vectors are not needed afterwards.

        Args:
            vectors: ``(n, d)`` of images, of the model of earlier sessions.
            labels: ``(n,)`` whole numbers, of classes that are new or known.

        Raises:
            QueryError: Shapes do not fit each other or earlier sessions, or values are not finite.
        """
        rows, own = np.asarray(vectors, np.float64), np.asarray(labels)
        if rows.ndim != 2 or own.shape != rows.shape[:1] or not len(rows):
            raise QueryError(
                f"vectors {rows.shape} and labels {own.shape} do not fit each other; give rows "
                "(n, d) and n labels"
            )
        if not np.isfinite(rows).all() or own.dtype.kind not in "iu":
            raise QueryError("vectors have to be finite, and labels whole numbers")
        width = rows.shape[1]
        if (self.classes and width != self._sums.shape[1]) or not 0 < width <= LONGEST:
            raise QueryError(
                f"vectors of length {width} cannot be added; give those of one model, of at most "
                f"{LONGEST} numbers"
            )
        with np.errstate(over="ignore", invalid="ignore"):
            products = rows.T @ rows
        if not np.isfinite(products).all():
            raise QueryError(
                f"vectors with numbers up to {np.abs(rows).max():g} cannot be added: their squares "
                "are too large; scale the vectors of all sessions alike"
            )
        if not self.classes:
            self._sums, self._products = np.zeros((0, width)), np.zeros((width, width))
        new = [int(each) for each in dict.fromkeys(own.tolist()) if each not in self.classes]
        self.classes += new
        self._counts = np.concatenate([self._counts, np.zeros(len(new))])
        self._sums = np.concatenate([self._sums, np.zeros((len(new), width))])
        place = {label: number for number, label in enumerate(self.classes)}
        at = np.array([place[label] for label in own.tolist()])
        np.add.at(self._counts, at, 1)
        np.add.at(self._sums, at, rows)
        self._products += products
        self._fitted = None

    def logits(self, vectors: ArrayLike) -> NDArray[np.float64]:
        """Logits ``(m, k)`` of images ``(m, d)``; the columns are `classes`.

        Raises:
            QueryError: The vectors have another length, or nothing was added.
        """
        rows = np.asarray(vectors, np.float64)
        if not self.classes:
            raise QueryError("no class is known; add labelled images first")
        if rows.ndim != 2 or rows.shape[1] != self._sums.shape[1]:
            raise QueryError(
                f"vectors {rows.shape} do not fit; give rows of length {self._sums.shape[1]}"
            )
        weights, biases = self._fit()
        found: NDArray[np.float64] = rows @ weights.T + biases
        return found

    def predict(self, vectors: ArrayLike) -> NDArray[np.int64]:
        """The most likely label ``(m,)`` of each image.

        Raises:
            QueryError: The vectors have another length, or nothing was added.
        """
        found: NDArray[np.int64] = np.array(self.classes, np.int64)[
            self.logits(vectors).argmax(axis=1)
        ]
        return found

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write what is kept to an ``.npz`` file, whole or not at all; it may be there already.

        Raises:
            QueryError: The file cannot be written.
        """
        target = Path(path)
        unfinished = target.with_name(f".{target.name}.{os.getpid()}.unfinished")
        kept = (np.array(self.classes, np.int64), self._counts, self._sums, self._products)
        arrays = dict(zip(_ARRAYS, (*kept, np.array(self.ridge)), strict=True))
        try:
            with unfinished.open("xb") as file:
                np.savez(file, allow_pickle=False, **arrays)
                file.flush()
                os.fsync(file.fileno())
            unfinished.replace(target)
        except OSError as error:
            reason = error.strerror or error
            raise QueryError(f"the classes {target} cannot be written: {reason}") from error
        finally:
            unfinished.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """Read what `save` wrote, to add more sessions or to classify.

        Raises:
            QueryError: The file cannot be read, is too large, damaged, or of another kind.
        """
        try:
            with Path(path).open("rb") as file:
                with zipfile.ZipFile(file) as archive:
                    size = sum(entry.file_size for entry in archive.infolist())
                if size > MOST_BYTES:
                    raise ValueError(f"it has {size} bytes and may have {MOST_BYTES}")
                file.seek(0)
                with np.load(file, allow_pickle=False) as found:
                    classes, *sums, ridge = (found[name] for name in _ARRAYS)
            made = cls(ridge=float(ridge))
            made.classes = [int(each) for each in classes.tolist()]
            made._counts, made._sums, made._products = (np.asarray(s, np.float64) for s in sums)
            if classes.dtype.kind != "i" or not made._is_whole():
                raise ValueError("sums that do not fit each other")
        except OSError as error:
            reason = error.strerror or error
            raise QueryError(f"the classes {path} cannot be read: {reason}") from error
        except _DAMAGED as error:
            raise QueryError(
                f"{path} is damaged or holds no classes ({error}); give a file that "
                "GrowingClasses.save wrote"
            ) from error
        return made

    def _is_whole(self) -> bool:
        """Whether classes and sums are such as `add` makes them."""
        count, width = len(self.classes), self._products.shape[-1] if self._products.ndim else 0
        shapes = (self._counts.shape, self._sums.shape, self._products.shape)
        return (
            shapes == ((count,), (count, width), (width, width))
            and width <= LONGEST
            and len(set(self.classes)) == count
            and bool((self._counts >= 1).all())
            and all(np.isfinite(each).all() for each in (self._counts, self._sums, self._products))
        )

    def _fit(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if self._fitted is None:
            total, width = self._counts.sum(), self._sums.shape[1]
            means = self._sums / self._counts[:, None]
            covariance = (self._products - means.T @ self._sums) / max(total - 1, 1)
            spread = float(np.trace(covariance)) / width
            # Rounding of sums of squares: no class has two different images.
            if spread <= 1e-12 * float(np.trace(self._products)) / (total * width):
                covariance, spread = np.zeros_like(covariance), 1.0
            weights = np.linalg.solve(covariance + self.ridge * spread * np.eye(width), means.T).T
            biases = np.log(self._counts / total) - 0.5 * (means * weights).sum(axis=1)
            self._fitted = weights, biases
        return self._fitted
