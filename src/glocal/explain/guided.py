"""A ranking that a person guides: which cells of the query may correspond is edited, and undone.

Source: Nguyen, Taesiri, Kim and Nguyen, Allowing Humans to Interactively Guide Machines Where to
Look Does Not Always Improve a Human-AI Team's Classification Accuracy, 2024, which makes CHM-Corr
(Taesiri, Nguyen and Nguyen, Visual Correspondence-Based Explanations Improve AI Robustness and
Human-AI Team Accuracy, 2022) interactive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from operator import index
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import QueryError

STRONGEST = 5
"""How many correspondences a score is the sum of, as in the paper."""

_MOST = 1 << 26
"""Entries of the table of query cells by candidates: 512 MB of similarities and numbers."""

Action = Literal["allow", "forbid", "only", "undo"]


@dataclass(frozen=True, slots=True)
class Correspondence:
    """A cell of the query and the cell of a candidate that is most like it.

    Attributes:
        similarity: Their cosine, from -1 to 1.
        query: Row and column of the query's cell.
        candidate: Row and column of the candidate's cell.
    """

    similarity: float
    query: tuple[int, int]
    candidate: tuple[int, int]


@dataclass(frozen=True, slots=True)
class Edit:
    """One change that was made, and what it did.

    Attributes:
        action: What was asked: ``allow``, ``forbid``, ``only`` or ``undo``.
        cells: Rows and columns of the query's cells that were named, sorted; none for ``undo``.
        allowed: How many cells may correspond afterwards.
        first_before: Number of the candidate that was first.
        first_after: Number of the one that is.
        moved: How many candidates have another rank than before.
    """

    action: Action
    cells: tuple[tuple[int, int], ...]
    allowed: int
    first_before: int
    first_after: int
    moved: int


class GuidedRanking:
    """Candidates ranked by their strongest correspondences with cells of the query.

    With ``q_i`` the unit vectors of the query's cells and ``c_j`` those of a candidate's, cell i
    corresponds to ``j(i) = argmax_j q_i c_j``, and of the cells A that may correspond

    ``score = sum of the k largest q_i c_j(i), i in A``,

    of all of them where A has fewer than k. The correspondences are found once. An edit changes A
    only, so that scores, ranking and explanation of every candidate follow without comparing
    anything anew, and the explanation is the score: its terms add up to it.

    Source: Nguyen, Taesiri, Kim and Nguyen, Allowing Humans to Interactively Guide Machines Where
    to Look Does Not Always Improve a Human-AI Team's Classification Accuracy, 2024.

    Deviations: cells correspond by cosine, where the paper has a trained network of convolutional
    Hough matching; all cells may correspond at first, where the paper begins with those that are
    alike over the whole image; images are ranked, not classes voted on.

    Args:
        query: ``(h, w, d)`` float, a vector of each of the query's cells.
        candidates: ``(n, r, c, d)`` float, the candidates' cells in the same space; or a sequence
            of arrays ``(r, c, d)`` of different shapes.
        strongest: ``k``, at least 1.

    Raises:
        QueryError: Shapes do not fit each other, values are not finite, or there is no candidate.
    """

    def __init__(
        self,
        query: ArrayLike,
        candidates: Sequence[ArrayLike] | NDArray[np.floating],
        *,
        strongest: int = STRONGEST,
    ) -> None:
        cells = _units(query, "query")
        if strongest < 1:
            raise QueryError(f"a score of {strongest} correspondences is none; give 1 or more")
        self._shape, self._strongest = cells.shape[:2], strongest
        rows = cells.reshape(-1, cells.shape[2])
        count = len(candidates) if isinstance(candidates, Sequence | np.ndarray) else 0
        if not 1 <= count <= _MOST // len(rows):
            raise QueryError(
                f"{count} candidates cannot be compared with {len(rows)} cells of the query; give "
                f"at least 1 and at most {_MOST // len(rows)}"
            )
        self._similar = np.empty((count, len(rows)), np.float32)
        self._place = np.empty((count, len(rows)), np.int32)
        self._widths = np.empty(count, np.int32)
        for number, candidate in enumerate(candidates):
            other = _units(candidate, f"candidate {number}")
            if other.shape[2] != rows.shape[1]:
                raise QueryError(
                    f"cells of candidate {number} have {other.shape[2]} numbers and those of the "
                    f"query {rows.shape[1]}; give cells of one model"
                )
            table = rows @ other.reshape(-1, other.shape[2]).T
            self._place[number] = table.argmax(axis=1)
            self._similar[number] = table.max(axis=1)
            self._widths[number] = other.shape[1]
        self._history = [np.ones(len(rows), np.bool_)]
        self._log: list[Edit] = []
        self._update()

    @property
    def allowed(self) -> NDArray[np.bool_]:
        """``(h, w)``: which cells of the query may correspond; a copy."""
        return self._history[-1].reshape(self._shape).copy()

    @property
    def scores(self) -> NDArray[np.float32]:
        """``(n,)`` float32, of each candidate, at most ``k``; 0 where no cell may correspond."""
        return self._scores.copy()

    @property
    def ranking(self) -> NDArray[np.intp]:
        """``(n,)`` numbers of the candidates, the best first; equals by number."""
        return self._ranking.copy()

    @property
    def log(self) -> tuple[Edit, ...]:
        """What was changed, in order. An undo is an entry of its own: nothing is taken out."""
        return tuple(self._log)

    def log_as_data(self) -> list[dict[str, Any]]:
        """The log as plain values that JSON can hold; `replay` takes them."""
        return [{**asdict(each), "cells": [list(c) for c in each.cells]} for each in self._log]

    def explain(self, candidate: int) -> list[Correspondence]:
        """The correspondences that a candidate's score is the sum of, the strongest first.

        Raises:
            QueryError: There is no such candidate.
        """
        if not 0 <= candidate < len(self._similar):
            raise QueryError(
                f"there is no candidate {candidate}; give 0 to {len(self._similar) - 1}"
            )
        open_cells = np.flatnonzero(self._history[-1])
        values = self._similar[candidate, open_cells]
        order = np.argsort(-values, kind="stable")[: self._strongest]
        wide, width = self._shape[1], int(self._widths[candidate])
        found = []
        for at, value in zip(open_cells[order].tolist(), values[order].tolist(), strict=True):
            there = int(self._place[candidate, at])
            found.append(Correspondence(value, divmod(at, wide), divmod(there, width)))
        return found

    def allow(self, cells: Iterable[tuple[int, int]]) -> Edit:
        """Let these cells of the query correspond, besides those that may.

        Args:
            cells: Rows and columns.

        Raises:
            QueryError: There is no such cell.
        """
        return self._edited("allow", cells)

    def forbid(self, cells: Iterable[tuple[int, int]]) -> Edit:
        """Let these cells of the query correspond no more; see `allow`."""
        return self._edited("forbid", cells)

    def only(self, cells: Iterable[tuple[int, int]]) -> Edit:
        """Let these cells of the query correspond, and no others; see `allow`."""
        return self._edited("only", cells)

    def undo(self) -> Edit:
        """Take the last change back that was not taken back already.

        Raises:
            QueryError: There is none.
        """
        if len(self._history) == 1:
            raise QueryError("there is no change to undo; make one first")
        self._history.pop()
        return self._logged("undo", ())

    def replay(self, log: Iterable[Edit | dict[str, Any]]) -> None:
        """Make the changes of a log, such as one that was kept with a query.

        Raises:
            QueryError: An entry is none, or names cells that the query does not have.
        """
        for entry in log:
            given = asdict(entry) if isinstance(entry, Edit) else entry
            action, cells = given.get("action"), given.get("cells", ())
            if action == "undo":
                self.undo()
            elif action in ("allow", "forbid", "only"):
                self._edited(action, cells)
            else:
                raise QueryError(
                    f"a log cannot have the action {action!r}; give allow, forbid, only or undo"
                )

    def _edited(self, action: Literal["allow", "forbid", "only"], cells: Any) -> Edit:
        named = np.zeros(self._shape, np.bool_)
        for cell in cells:
            try:
                row, column = (index(each) for each in cell)
                inside = 0 <= row < self._shape[0] and 0 <= column < self._shape[1]
            except (TypeError, ValueError):
                inside = False
            if not inside:
                raise QueryError(
                    f"the query has no cell {cell!r}; give a row below {self._shape[0]} and a "
                    f"column below {self._shape[1]}"
                )
            named[row, column] = True
        before, flat = self._history[-1], named.ravel()
        after = {"allow": before | flat, "forbid": before & ~flat, "only": flat}[action]
        self._history.append(after)
        rows, columns = np.nonzero(named)
        return self._logged(action, tuple(zip(rows.tolist(), columns.tolist(), strict=True)))

    def _logged(self, action: Action, cells: tuple[tuple[int, int], ...]) -> Edit:
        before = self._ranking
        self._update()
        after = self._ranking
        moved = int((before != after).sum())
        allowed = int(self._history[-1].sum())
        edit = Edit(action, cells, allowed, int(before[0]), int(after[0]), moved)
        self._log.append(edit)
        return edit

    def _update(self) -> None:
        open_cells = self._similar[:, self._history[-1]]
        least = open_cells.shape[1] - self._strongest
        if least > 0:
            open_cells = np.partition(open_cells, least, axis=1)[:, least:]
        summed = open_cells.sum(axis=1, dtype=np.float64)
        self._scores: NDArray[np.float32] = summed.astype(np.float32)
        self._ranking: NDArray[np.intp] = np.argsort(-self._scores, kind="stable")


def cells_in(
    region: tuple[float, float, float, float], shape: tuple[int, int]
) -> list[tuple[int, int]]:
    """The cells of a grid whose centres lie in a region; the nearest one where it is too small.

    Args:
        region: X, y, width and height as fractions of the image.
        shape: Rows and columns of the grid.
    """
    x, y, width, height = region
    rows = (np.arange(shape[0]) + 0.5) / shape[0]
    columns = (np.arange(shape[1]) + 0.5) / shape[1]
    found = [
        (int(row), int(column))
        for row in np.flatnonzero((rows >= y) & (rows <= y + height))
        for column in np.flatnonzero((columns >= x) & (columns <= x + width))
    ]
    if found:
        return found
    row = int(np.abs(rows - (y + height / 2)).argmin())
    return [(row, int(np.abs(columns - (x + width / 2)).argmin()))]


def _units(cells: ArrayLike, whose: str) -> NDArray[np.float32]:
    """Cells of unit length; one that is 0 stays 0."""
    found = np.asarray(cells, np.float32)
    if found.ndim != 3 or 0 in found.shape or not np.isfinite(found).all():
        raise QueryError(
            f"cells {found.shape} of the {whose} cannot be compared; give finite numbers "
            "(rows, columns, d), of one cell or more"
        )
    length = np.linalg.norm(found, axis=2, keepdims=True)
    made: NDArray[np.float32] = np.divide(found, length, out=np.zeros_like(found), where=length > 0)
    return made
