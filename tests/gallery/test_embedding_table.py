"""Tables of embeddings: what is written is found again, in the columns of Major TOM."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_folders import image, write_images

from glocal.errors import MissingExtraError, ModelMismatchError, TableError
from glocal.gallery import Gallery, embedding_table
from glocal.gallery.embedding_table import EmbeddingTable, TableRow, write_table
from glocal.geography.grid import Grid

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
RANDOM = np.random.default_rng(0)


def rows(count: int, dim: int = 6) -> list[TableRow]:
    grid, made = Grid(100), []
    for number in range(count):
        cell = grid.cell(number % 50, number // 50)
        vector = RANDOM.normal(size=dim).astype(np.float32)
        row = TableRow(
            f"tile-{number}", vector, f"product-{number // 9}", "2020-05-17T10:00:00",
            cell.centre, cell.footprint(), (0, 0, 64, 64),
        )  # fmt: skip
        made.append(row)
    return made


def test_a_search_finds_what_a_slow_comparison_finds_batch_by_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedding_table, "BATCH", 16)
    made = rows(75)
    assert write_table(tmp_path / "t.parquet", iter(made), dim=6, space="s", grid_km=100) == 75
    table = EmbeddingTable(tmp_path / "t.parquet")
    assert (table.rows, table.space) == (75, "s")
    query = RANDOM.normal(size=6)
    cosine = [
        float(r.embedding @ query / np.linalg.norm(r.embedding) / np.linalg.norm(query))
        for r in made
    ]
    best = sorted(range(75), key=lambda n: -cosine[n])[:20]
    found = table.search(query, 20, space="s")
    assert [hit.unique_id for hit in found] == [f"tile-{n}" for n in best]
    assert [hit.score for hit in found] == pytest.approx([cosine[n] for n in best], abs=1e-5)
    assert [hit.rank for hit in found] == list(range(1, 21))
    assert found[0].centre == pytest.approx(made[best[0]].centre, abs=1e-4)
    assert found[0].grid_cell == Grid(100).cell_at(*made[best[0]].centre).name
    assert len(table.search(query, 500)) == 75


def test_the_columns_are_major_toms(tmp_path: Path) -> None:
    (row,) = rows(1)
    write_table(tmp_path / "t.parquet", [row, TableRow("nowhere", row.embedding)], dim=6)
    read = parquet.read_table(tmp_path / "t.parquet")
    first, second = read.to_pylist()
    assert set(read.schema.names) == {
        "unique_id", "embedding", "timestamp", "product_id", "grid_cell", "grid_row_u",
        "grid_col_r", "geometry", "centre_lat", "centre_lon", "pixel_bbox",
    }  # fmt: skip
    assert read.schema.field("grid_row_u").type == arrow.int16()
    assert read.schema.field("centre_lat").type == arrow.float32()
    order, kind, rings, corners = struct.unpack("<BIII", first["geometry"][:13])
    assert (order, kind, rings, corners) == (1, 3, 1, 5)
    assert struct.unpack("<10d", first["geometry"][13:])[:2] == row.footprint[0]
    assert json.loads(read.schema.metadata[b"geo"])["primary_column"] == "geometry"
    assert [second[name] for name in ("grid_cell", "geometry", "centre_lat")] == [None] * 3


def test_a_file_that_others_wrote_with_other_types_is_searched(tmp_path: Path) -> None:
    vectors = RANDOM.normal(size=(5, 3)).astype(np.float16)
    columns = {
        "unique_id": list("abcde"),
        "embedding": arrow.array(list(vectors), arrow.large_list(arrow.float16())),
        "more": [1] * 5,
    }
    parquet.write_table(arrow.table(columns), tmp_path / "t.parquet")
    table = EmbeddingTable(tmp_path / "t.parquet")
    assert table.space == ""
    (hit,) = table.search(vectors[3].astype(np.float32), 1, space="any")
    assert (hit.unique_id, hit.centre, hit.grid_cell, hit.geometry) == ("d", None, "", None)
    ids, found = next(table.vectors())
    assert ids == list("abcde")
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(5), abs=1e-4)


def broken(path: Path, **columns: Any) -> Path:
    full = {"unique_id": ["a", "b"], "embedding": [[1.0, 2.0], [3.0, 4.0]]} | columns
    metadata = full.pop("metadata", None)
    made = arrow.table({name: value for name, value in full.items() if value is not None})
    parquet.write_table(made.replace_schema_metadata(metadata), path)
    return path


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"embedding": None}, "no column embedding"),
        ({"unique_id": None}, "no column unique_id"),
        ({"embedding": ["x", "y"]}, "embeddings are string"),
        ({"embedding": [[1, 2], [3, 4]]}, "not lists of floats"),
        ({"embedding": [[1.0, 2.0], [3.0]]}, "1, 2 numbers"),
        ({"embedding": [[1.0, 2.0], None]}, "None"),
        ({"embedding": [[1.0, 2.0], [3.0, None]]}, "null"),
        ({"embedding": [[1.0, 2.0], [3.0, float("nan")]]}, "not finite"),
        ({"embedding": [[1.0], [2.0]]}, "2 numbers are needed"),
        ({"metadata": {"glocal": "{"}}, "vector space is damaged"),
        ({"metadata": {"glocal": "[]"}}, "vector space is damaged"),
        ({"metadata": {"glocal": '{"space": 3}'}}, "vector space is damaged"),
    ],
)
def test_what_does_not_fit_is_a_clear_error(
    tmp_path: Path, columns: dict[str, Any], said: str
) -> None:
    path = broken(tmp_path / "t.parquet", **columns)
    with pytest.raises(TableError, match=said):
        EmbeddingTable(path).search([1.0, 0.0])


def test_damaged_files_are_clear_errors_wherever_they_are_cut_or_changed(tmp_path: Path) -> None:
    whole = tmp_path / "t.parquet"
    write_table(whole, rows(40), dim=6)
    data = whole.read_bytes()
    with pytest.raises(TableError, match="no table"):
        EmbeddingTable(tmp_path / "missing.parquet")
    for number in range(60):
        random = np.random.default_rng(number)
        changed = bytearray(data[: random.integers(len(data))] if number % 2 else data)
        for at in random.integers(max(len(changed), 1), size=3 * (number % 2 == 0)):
            changed[at] ^= int(random.integers(1, 256))
        (tmp_path / "bad.parquet").write_bytes(changed)
        try:
            EmbeddingTable(tmp_path / "bad.parquet").search(np.ones(6), 3)
        except TableError as error:
            assert "bad.parquet" in str(error)  # noqa: PT017 - some changes do no harm
        else:
            assert number % 2 == 0


def test_a_table_that_cannot_be_finished_is_not_there(tmp_path: Path) -> None:
    target = tmp_path / "t.parquet"
    target.write_bytes(b"of before")
    good, other = rows(1), rows(1, dim=5)
    with pytest.raises(TableError, match="6 numbers"):
        write_table(target, [*good, *other], dim=6)
    with pytest.raises(TableError, match="cannot be written"):
        write_table(tmp_path / "no" / "t.parquet", good, dim=6)
    assert target.read_bytes() == b"of before"
    assert [path.name for path in tmp_path.iterdir()] == ["t.parquet"]


def test_other_spaces_and_impossible_vectors_are_refused(tmp_path: Path) -> None:
    write_table(tmp_path / "t.parquet", rows(3), dim=6, space="one")
    table = EmbeddingTable(tmp_path / "t.parquet")
    with pytest.raises(ModelMismatchError, match="'two'"):
        table.search(np.ones(6), space="two")
    for vector in (np.zeros(6), np.full(6, np.nan)):
        with pytest.raises(TableError, match="zero or not finite"):
            table.search(vector)


def test_without_pyarrow_the_command_that_installs_it_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"glocal\[tables\]"):
        write_table(tmp_path / "t.parquet", [], dim=1)


def test_a_gallery_is_exported_and_searched_by_example(
    open_gallery: Callable[..., Gallery], tmp_path: Path
) -> None:
    write_images(tmp_path / "photos", 7)
    gallery = open_gallery()
    gallery.add(tmp_path / "photos")
    assert gallery.export(tmp_path / "t.parquet") == 7
    table = EmbeddingTable(tmp_path / "t.parquet")
    query = gallery.query(image(4))
    best = table.search(query.vector, 3, space=query.space)
    hits = gallery.search(query, limit=3, verify=False, rerank="none", regions=False).hits
    assert [Path(hit.product_id) for hit in best] == [hit.path for hit in hits]
    assert [hit.unique_id for hit in best] == [hit.id for hit in hits]
    assert gallery.export(tmp_path / "t.parquet", where="width > 9000") == 0
    assert EmbeddingTable(tmp_path / "t.parquet").search(query.vector) == ()
