"""What tables of embeddings say of images, row by row, for galleries that import them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
from numpy.typing import NDArray

from glocal.errors import ModelMismatchError, TableError
from glocal.gallery.context import Context
from glocal.gallery.embedding_table import EmbeddingTable
from glocal.gallery.passage import Crossing

ROWS, ROWS_WITH_IMAGES = 2_048, 16
"""Rows in memory at a time, of a table without images and of one with them."""

_IMAGES = ("image", "thumbnail")  # of Hugging Face's data sets, and of Major TOM's
_COLUMNS = ("unique_id", "product_id", "timestamp", "centre_lat", "centre_lon", "pixel_bbox")
_CONTENT = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True, eq=False)
class TableImage:
    """What a table says of one image.

    Attributes:
        id: of the row.
        vector: ``(d,)`` float32 of unit length in the gallery's space, or of zeros.
        path: of its file.
        image: its bytes, where the table has them.
        content: its id in galleries, where the table says it.
        taken: when.
        position: latitude and longitude in degrees.
        box: left, upper, right and lower edge, in pixels of the file, of what was encoded.
    """

    id: str
    vector: NDArray[np.float32]
    path: Path | None
    image: bytes | None
    content: UUID | None
    taken: datetime | None
    position: tuple[float, float] | None
    box: tuple[int, ...] | None


@dataclass(frozen=True, slots=True)
class TableSource:
    """A table, and how its vectors and its files are to be understood.

    Args:
        table: the table.
        crossing: brings its vectors into the gallery's space, if they are of another.
        moved: a folder in which images lay when the table was made, and where it lies now.
    """

    table: EmbeddingTable
    crossing: Crossing | None = None
    moved: tuple[Path, Path] | None = None

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        context: Context,
        *,
        space: str | None,
        bridge: str | os.PathLike[str] | None,
        moved: tuple[Path, Path] | None,
    ) -> TableSource:
        """Open a table whose vectors are of the gallery's space, or lead there by a bridge.

        Raises:
            TableError: it is no such table, or says of no vector space.
            ModelMismatchError: it is of another space than the gallery, or than `space`.
            BridgeError: the bridge cannot be read.
        """
        table, model = EmbeddingTable(path), context.layout.model
        if space and table.space and space != table.space:
            raise ModelMismatchError(
                f"the table {table.path} says that its vectors are of {table.space!r}, not of "
                f"{space!r}; leave the space out"
            )
        said = space or table.space
        if bridge is not None:
            crossing = Crossing.open(bridge, model)
            crossing.require_from(said or None)
            return cls(table, crossing, moved)
        if not said:
            raise TableError(
                f"the table {table.path} does not say of which vector space its vectors are; name "
                "the space, if you know it, or give a bridge from it"
            )
        if said != model.space:
            raise ModelMismatchError(
                f"the table {table.path} is of the vector space {said!r}, and the gallery of "
                f"{model.space!r}; import it to a gallery of the model that made it, or through a "
                "bridge"
            )
        return cls(table, None, moved)

    def rows(self, dim: int) -> Iterator[list[TableImage]]:
        """The rows, some at a time, their vectors ``(dim,)`` in the gallery's space.

        Raises:
            TableError: the file is damaged, or its vectors do not fit.
            BridgeError: the vectors do not fit the bridge.
        """
        images = [name for name in _IMAGES if _holds_images(self.table.kinds.get(name))]
        read = self.table.batches(
            dim if self.crossing is None else None,
            (*_COLUMNS, *images),
            ROWS_WITH_IMAGES if images else ROWS,
        )
        for _, vectors, columns in read:
            try:
                values = {name: column.to_pylist() for name, column in columns.items()}
            except (ValueError, OverflowError) as error:
                raise TableError(
                    f"{self.table.path} has a value that is damaged: {error}"
                ) from error
            yield [
                self._image(vector, {name: each[n] for name, each in values.items()})
                for n, vector in enumerate(self._brought(vectors, dim))
            ]

    def _brought(self, vectors: NDArray[np.float32], dim: int) -> NDArray[np.float32]:
        """Vectors in the gallery's space, ``(n, dim)``; those of zeros stay zero."""
        present = vectors.any(axis=1)
        if self.crossing is None or not present.any():
            return vectors
        brought = np.zeros((len(vectors), dim), np.float32)
        brought[present] = self.crossing.bridge.queries(vectors[present])
        return brought

    def _image(self, vector: NDArray[np.float32], said: Mapping[str, Any]) -> TableImage:
        name, path = str(said["unique_id"]), str(said.get("product_id") or "")
        encoded: list[bytes] = []
        for column in _IMAGES:
            value = said.get(column)
            if isinstance(value, dict):
                path = path or str(value.get("path") or "")
                value = value.get("bytes")
            if value:
                encoded.append(value)
        known = bool(self.table.space) and _CONTENT.fullmatch(name)
        latitude, longitude = said.get("centre_lat"), said.get("centre_lon")
        box = said.get("pixel_bbox")
        return TableImage(
            name,
            vector,
            self._path(path) if path else None,
            encoded[0] if encoded else None,
            UUID(hex=name) if known else None,
            _moment(said.get("timestamp")),
            _position(latitude, longitude),
            tuple(box) if isinstance(box, list) else None,
        )

    def _path(self, said: str) -> Path:
        """Where a file lies now; a relative path begins where the table is."""
        path = Path(os.path.abspath(self.table.path.parent / said))
        if self.moved is not None and path.is_relative_to(self.moved[0]):
            path = self.moved[1] / path.relative_to(self.moved[0])
        return path


def _holds_images(kind: Any) -> bool:
    """Whether a type of Arrow is one of encoded images: bytes, or a structure that has them."""
    from pyarrow import types  # which has read the table

    if kind is None:
        return False
    if types.is_struct(kind):
        return any(kind.field(n).name in ("bytes", "path") for n in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _moment(said: object) -> datetime | None:
    """When an image was taken; a zone is left out, as cameras know none."""
    try:
        moment = said if isinstance(said, datetime) else datetime.fromisoformat(str(said))
    except ValueError:
        return None
    return moment.replace(tzinfo=None)


def _position(latitude: object, longitude: object) -> tuple[float, float] | None:
    if not isinstance(latitude, float) or not isinstance(longitude, float):
        return None
    return (latitude, longitude) if abs(latitude) <= 90 and abs(longitude) <= 180 else None
