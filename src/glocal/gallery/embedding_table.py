"""Tables of embeddings as Parquet files, with the columns of Major TOM's embeddings.

Czerkawski, Kluczek and Bojanowski, Global and Dense Embeddings of Earth: Major TOM Floating in the
Latent Space, 2024. A row is an image, or a tile of one:

=============  =====================================================================
unique_id      text that no other row has
embedding      the vector, float32
timestamp      when it was taken, ISO 8601; null where that is unknown
product_id     of which product; of a photo the path of its file
grid_cell      the cell of the grid in which its centre lies, such as ``922D_249L``
grid_row_u     the cell's row, northern ones above 0
grid_col_r     the cell's column, eastern ones above 0
geometry       the footprint, WKB in longitude and latitude (GeoParquet 1.0)
centre_lat     degrees
centre_lon     degrees
pixel_bbox     left, upper, right and lower edge in pixels of the product
=============  =====================================================================

What says where is null for an image that does not know it. The authors' ``utm_footprint`` and
``utm_crs`` are left out: ``geometry`` has the same footprint. A further entry of the metadata
names the vector space, so that vectors of different spaces are not compared.
"""

from __future__ import annotations

import heapq
import json
import os
import secrets
import struct
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glocal.errors import MissingExtraError, ModelMismatchError, TableError
from glocal.geography.grid import Grid
from glocal.registry import install_command

BATCH = 2_048
"""Rows in memory at a time."""

LONGEST = 65_536
"""Numbers that a vector has at most."""

_OWN = b"glocal"
_NEEDED = ("unique_id", "embedding")
_SHOWN = ("unique_id", "product_id", "grid_cell", "centre_lat", "centre_lon", "geometry")
_BUFFER = 1 << 20

Corners = Sequence[tuple[float, float]]
"""Corners of a footprint, longitude and latitude in degrees, the first again at the end."""


@dataclass(frozen=True, slots=True, eq=False)
class TableRow:
    """A row of a table.

    Attributes:
        unique_id: text that no other row has.
        embedding: ``(d,)`` float32.
        product_id: of which product, or the path of a photo's file.
        timestamp: when it was taken, ISO 8601.
        centre: latitude and longitude in degrees.
        footprint: see `Corners`; `None` for a photo, whose centre alone is known.
        pixel_bbox: left, upper, right and lower edge in pixels.
    """

    unique_id: str
    embedding: NDArray[np.float32]
    product_id: str = ""
    timestamp: str | None = None
    centre: tuple[float, float] | None = None
    footprint: Corners | None = None
    pixel_bbox: tuple[int, int, int, int] | None = None


@dataclass(frozen=True, slots=True)
class TableHit:
    """A row that a search of a table found.

    Attributes:
        rank: from 1.
        score: cosine similarity.
        unique_id: of the row.
        product_id: likewise; empty where the table has none.
        grid_cell: likewise.
        centre: latitude and longitude in degrees, where the table has them.
        geometry: the footprint as WKB, where the table has it.
    """

    rank: int
    score: float
    unique_id: str
    product_id: str
    grid_cell: str
    centre: tuple[float, float] | None
    geometry: bytes | None


def write_table(
    path: str | os.PathLike[str],
    rows: Iterable[TableRow],
    *,
    dim: int,
    space: str = "",
    model: str = "",
    grid_km: float = 10.0,
) -> int:
    """Write a table; the file appears only when it is whole. Few rows are in memory at a time.

    Args:
        path: of the file, which is replaced if it is there.
        rows: in their order.
        dim: length of the vectors.
        space: the vector space that they belong to.
        model: what made them.
        grid_km: distance of the grid's points.

    Returns:
        How many rows were written.

    Raises:
        TableError: a vector has another length or is not finite, a row has no position on Earth, or
            the file cannot be written.
        MissingExtraError: the extra ``tables`` is not installed.
    """
    arrow, parquet = _arrow()
    target, grid, count = Path(path), Grid(grid_km), 0
    own = {"space": space, "model": model, "dim": dim, "grid_km": grid_km}
    geo = {
        "version": "1.0.0",
        "primary_column": "geometry",
        "columns": {"geometry": {"encoding": "WKB", "geometry_types": ["Point", "Polygon"]}},
    }
    metadata = {_OWN: json.dumps(own).encode(), b"geo": json.dumps(geo).encode()}
    schema = _schema(arrow, dim).with_metadata(metadata)
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    waiting = iter(rows)
    try:
        with parquet.ParquetWriter(unfinished, schema, compression="zstd") as writer:
            while some := list(islice(waiting, BATCH)):
                columns = _columns(some, grid, dim)
                writer.write_table(arrow.table(columns, schema=schema))
                count += len(some)
        unfinished.replace(target)
    except OSError as error:
        raise TableError(
            f"the table {target} cannot be written: {error.strerror or error}"
        ) from error
    finally:
        unfinished.unlink(missing_ok=True)
    return count


class EmbeddingTable:
    """A table that is read as it is searched, some rows at a time.

    Czerkawski, Kluczek and Bojanowski, Global and Dense Embeddings of Earth: Major TOM Floating in
    the Latent Space, 2024: an archive of tiles on a grid becomes rows of an embedding with where
    its tile lies, e_i = f(x_i), and what is like an example q is argmax_i e_i f(q) / |e_i| |f(q)|.

    Deviations: positions of photos take the place of tiles where a gallery is exported; the columns
    ``utm_footprint`` and ``utm_crs`` are left out.

    Args:
        path: of a Parquet file with the columns ``unique_id`` and ``embedding`` at least.

    Attributes:
        path: of the file.
        rows: how many it has.
        space: the vector space of its vectors, if the file says so.
        kinds: the type of each column, by its name.

    Raises:
        TableError: it is not such a file.
        MissingExtraError: the extra ``tables`` is not installed.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        arrow, parquet = _arrow()
        self.path = Path(path)
        with _reading(self.path), parquet.ParquetFile(self.path) as file:
            schema, self.rows = file.schema_arrow, int(file.metadata.num_rows)
        kinds = {name: schema.field(name).type for name in schema.names}
        missing = [name for name in _NEEDED if name not in kinds]
        if missing:
            raise TableError(
                f"{self.path}: there is no column {' and no column '.join(missing)}; give a table "
                "of Major TOM's form, or one that glocal export wrote"
            )
        vectors = kinds["embedding"]
        lists = arrow.types.is_list, arrow.types.is_large_list, arrow.types.is_fixed_size_list
        if not any(of(vectors) for of in lists) or not arrow.types.is_floating(vectors.value_type):
            raise TableError(f"{self.path}: the embeddings are {vectors}, not lists of floats")
        self.kinds = kinds
        self.space = _space(schema.metadata or {}, self.path)

    def search(
        self, vector: ArrayLike, limit: int = 10, *, space: str | None = None
    ) -> tuple[TableHit, ...]:
        """Find the rows whose vectors are nearest to one; every row is compared.

        Args:
            vector: ``(d,)`` numbers of any length but 0, such as `Query.vector`.
            limit: how many at most.
            space: the vector space that it belongs to, if that is known.

        Raises:
            TableError: the vector does not fit, or the file is damaged.
            ModelMismatchError: the table's vectors are of another space.
        """
        if space is not None and self.space and space != self.space:
            raise ModelMismatchError(
                f"the vector belongs to the space {space!r} and the table's to {self.space!r}"
            )
        query = np.asarray(vector, np.float32).reshape(-1)
        length = float(np.linalg.norm(query))
        if not np.isfinite(length) or length < 1e-12 or limit < 1:
            raise TableError("the vector is zero or not finite, or the limit is below 1")
        best: list[tuple[float, int, dict[str, Any]]] = []
        for start, vectors, others in self.batches(len(query)):
            scores = vectors @ (query / length)
            for row in np.argsort(-scores, kind="stable")[:limit].tolist():
                item = (float(scores[row]), -(start + row))
                if len(best) == limit and item <= best[0][:2]:
                    break
                values = {name: column[row].as_py() for name, column in others.items()}
                push = heapq.heappushpop if len(best) == limit else heapq.heappush
                push(best, (*item, values))
        found = sorted(best, key=lambda each: each[:2], reverse=True)
        return tuple(_hit(rank, score, values) for rank, (score, _, values) in enumerate(found, 1))

    def vectors(self) -> Iterator[tuple[list[str], NDArray[np.float32]]]:
        """Ids and ``(n, d)`` unit vectors, some rows at a time."""
        for _, vectors, others in self.batches():
            yield others["unique_id"].to_pylist(), vectors

    def batches(
        self, dim: int | None = None, shown: Sequence[str] = _SHOWN, size: int | None = None
    ) -> Iterator[tuple[int, NDArray[np.float32], dict[str, Any]]]:
        """Some rows at a time: the number of the first, the unit vectors, other columns.

        Args:
            dim: length that the vectors have to have; `None`: all the same one.
            shown: names of the other columns; those that are not there are left out.
            size: rows at a time; `None` for `BATCH`.

        Returns:
            For each batch: ``(n, d)`` float32, rows of unit length, or of zeros where the table has
            zeros; and the columns of Arrow by their names.

        Raises:
            TableError: the file is damaged, or a vector is missing, not finite or of another
                length.
        """
        _, parquet = _arrow()
        names = [name for name in shown if name in self.kinds]
        start = 0
        # Otherwise all that a row group has of a column is read at once.
        paged = {"buffer_size": _BUFFER, "pre_buffer": False}
        with _reading(self.path), parquet.ParquetFile(self.path, **paged) as file:
            for batch in file.iter_batches(size or BATCH, columns=[*names, "embedding"]):
                vectors = self._matrix(batch.column("embedding"), dim)
                dim = dim or vectors.shape[1]
                yield start, vectors, {name: batch.column(name) for name in names}
                start += len(vectors)

    def _matrix(self, column: Any, dim: int | None) -> NDArray[np.float32]:
        lengths = set(column.value_lengths().to_pylist())
        if len(lengths) != 1 or lengths & {None, 0} or (dim is not None and lengths != {dim}):
            wanted = "one length" if dim is None else f"{dim} numbers"
            found = sorted(map(str, lengths))[:5]
            raise TableError(
                f"{self.path}: embeddings have {', '.join(found)} numbers, where {wanted} are "
                "needed; take the model that made the table"
            )
        (length,) = lengths
        if length > LONGEST:
            raise TableError(f"{self.path}: embeddings have {length} numbers, above {LONGEST}")
        flat = column.flatten()
        if flat.null_count:
            raise TableError(f"{self.path}: an embedding has a null in it")
        rows = np.asarray(flat.to_numpy(zero_copy_only=False), np.float32).reshape(-1, length)
        norms = np.linalg.norm(rows, axis=1, keepdims=True)
        if not np.isfinite(norms).all():
            raise TableError(f"{self.path}: an embedding is not finite")
        return np.asarray(rows / np.maximum(norms, 1e-12), np.float32)


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"tables need pyarrow, which is not installed: {install_command('glocal[tables]')}"
        ) from error
    return pyarrow, pyarrow.parquet


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    arrow, _ = _arrow()
    try:
        yield
    except FileNotFoundError as error:
        raise TableError(f"there is no table {path}") from error
    except (arrow.ArrowException, OSError, MemoryError, UnicodeDecodeError) as error:
        reason = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise TableError(f"{path} cannot be read as a Parquet file: {reason}") from error


def _space(metadata: dict[bytes, bytes], path: Path) -> str:
    if _OWN not in metadata:
        return ""
    try:
        said = json.loads(metadata[_OWN])["space"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise TableError(f"{path}: what it says of its vector space is damaged") from error
    if not isinstance(said, str):
        raise TableError(f"{path}: what it says of its vector space is damaged")
    return said


def _schema(arrow: Any, dim: int) -> Any:
    return arrow.schema(
        [
            ("unique_id", arrow.string()),
            ("embedding", arrow.list_(arrow.float32(), dim)),
            ("timestamp", arrow.string()),
            ("product_id", arrow.string()),
            ("grid_cell", arrow.string()),
            ("grid_row_u", arrow.int16()),
            ("grid_col_r", arrow.int16()),
            ("geometry", arrow.binary()),
            ("centre_lat", arrow.float32()),
            ("centre_lon", arrow.float32()),
            ("pixel_bbox", arrow.list_(arrow.int32())),
        ]
    )


def _columns(rows: Sequence[TableRow], grid: Grid, dim: int) -> dict[str, list[Any]]:
    """The columns of some rows, as lists."""
    columns: dict[str, list[Any]] = {}
    for row in rows:
        vector = np.asarray(row.embedding, np.float32)
        if vector.shape != (dim,) or not np.isfinite(vector).all():
            raise TableError(
                f"the vector of {row.unique_id} has shape {vector.shape}; all have to be finite "
                f"and of {dim} numbers"
            )
        cell = None if row.centre is None else grid.cell_at(*row.centre)
        values = {
            "unique_id": row.unique_id,
            "embedding": vector,
            "timestamp": row.timestamp,
            # Paths may have bytes that are not text.
            "product_id": row.product_id.encode("utf-8", "backslashreplace").decode(),
            "grid_cell": None if cell is None else cell.name,
            "grid_row_u": None if cell is None else cell.row,
            "grid_col_r": None if cell is None else cell.column,
            "geometry": _wkb(row),
            "centre_lat": None if row.centre is None else row.centre[0],
            "centre_lon": None if row.centre is None else row.centre[1],
            "pixel_bbox": None if row.pixel_bbox is None else list(row.pixel_bbox),
        }
        for name, value in values.items():
            columns.setdefault(name, []).append(value)
    return columns


def _wkb(row: TableRow) -> bytes | None:
    """The footprint, or the point, as well-known binary, little-endian."""
    if row.footprint is not None:
        flat = list(chain.from_iterable(row.footprint))
        return struct.pack(f"<BIII{len(flat)}d", 1, 3, 1, len(row.footprint), *flat)
    if row.centre is not None:
        return struct.pack("<BI2d", 1, 1, row.centre[1], row.centre[0])
    return None


def _hit(rank: int, score: float, values: dict[str, Any]) -> TableHit:
    latitude, longitude = values.get("centre_lat"), values.get("centre_lon")
    centre = None if latitude is None or longitude is None else (latitude, longitude)
    return TableHit(
        rank,
        min(score, 1.0),
        str(values["unique_id"]),
        str(values.get("product_id") or ""),
        str(values.get("grid_cell") or ""),
        centre,
        values.get("geometry"),
    )
