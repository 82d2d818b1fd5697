"""Tables of embeddings are imported: vectors from the table, images from their files or from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner
from image_folders import image, write_images

from glocal.cli.app import glocal
from glocal.errors import BridgeError, ModelMismatchError, QueryError, TableError
from glocal.gallery import Gallery, importing, table_source
from glocal.gallery.embedding_table import EmbeddingTable, TableRow, write_table
from glocal.gallery.table_source import TableSource
from glocal.upgrade import fit_bridge, save_bridge

arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")
DIM = 16

Open = Callable[..., Gallery]


def vectors(count: int, dim: int = DIM) -> list[np.ndarray]:
    made = np.random.default_rng(3).normal(size=(count, dim)).astype(np.float32)
    return list(made / np.linalg.norm(made, axis=1, keepdims=True))


def reasons(report: importing.ImportReport) -> dict[str, int]:
    return {each.reason: each.rows for each in report.refused}


def write(path: Path, space: str, **columns: Any) -> Path:
    """A table as others write them, which may say its space all the same."""
    made = arrow.table(columns)
    if space:
        made = made.replace_schema_metadata({"glocal": f'{{"space": "{space}"}}'})
    parquet.write_table(made, path)
    return path


@pytest.fixture
def exported(open_gallery: Open, tmp_path: Path) -> Path:
    """A table of seven photos, one of which says when and where it was taken."""
    write_images(tmp_path / "photos", 6)
    (tmp_path / "photos" / "dated.jpg").write_bytes(image(50, taken="2019:05:04 10:00:00"))
    gallery = open_gallery(tmp_path / "first")
    gallery.add(tmp_path / "photos")
    gallery.export(tmp_path / "t.parquet")
    return tmp_path / "t.parquet"


def test_what_was_exported_comes_back_without_being_encoded(
    exported: Path, open_gallery: Open, encoded: Callable[[], int], tmp_path: Path
) -> None:
    first, second = open_gallery(tmp_path / "first"), open_gallery(tmp_path / "second")
    report = second.import_table(exported, tmp_path / "photos")
    assert (report.rows, report.added, report.unchanged, report.refused) == (7, 7, 0, ())
    assert encoded() == 0
    ids = [first.content_of(path) for path in (tmp_path / "photos").iterdir()]
    known, kept = ({i: each.browse().images([i])[i] for i in ids} for each in (first, second))
    assert kept == known
    stored = [np.stack([*each._store().vectors(ids).values()]) for each in (first, second)]
    assert stored[0] == pytest.approx(stored[1], abs=1e-3)  # as 16 bits keep them
    query = tmp_path / "photos" / "p0003.png"
    options = {"limit": 7, "verify": False, "regions": False, "rerank": "none"}
    found, wanted = (each.search(query, **options).hits for each in (second, first))
    assert [(h.path, h.score) for h in found] == [
        (h.path, pytest.approx(h.score, abs=1e-3)) for h in wanted
    ]


def test_a_second_import_changes_nothing_and_reads_no_file_again(
    exported: Path, open_gallery: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    gallery = open_gallery(tmp_path / "second")
    gallery.import_table(exported, tmp_path / "photos")
    monkeypatch.setattr(importing, "read_bytes", lambda *_: pytest.fail("read again"))
    again = gallery.import_table(exported, tmp_path / "photos")
    assert (again.added, again.unchanged, again.refused) == (0, 7, ())


def test_an_import_that_was_stopped_goes_on(
    exported: Path, open_gallery: Open, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(table_source, "ROWS", 2)
    gallery, seen = open_gallery(tmp_path / "second"), []

    def stop(progress: object) -> None:
        seen.append(progress)
        if len(seen) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        gallery.import_table(exported, tmp_path / "photos", listen=stop)
    assert gallery.info().images == 4
    report = gallery.import_table(exported, tmp_path / "photos")
    assert (report.added, report.unchanged) == (3, 4)


def test_local_features_and_regions_are_added_later_and_an_index_run_knows_the_files(
    exported: Path, open_gallery: Open, encoded: Callable[[], int], tmp_path: Path
) -> None:
    gallery = open_gallery(tmp_path / "second")
    gallery.import_table(exported, tmp_path / "photos")
    info = gallery.info()
    assert (info.without_local_features, info.without_regions, info.roots) == (
        7,
        7,
        (tmp_path / "photos",),
    )
    report = gallery.refresh()
    assert (report.added, report.unchanged, encoded()) == (0, 7, 0)
    assert gallery.add_local_features() == 7
    assert gallery.add_regions() == 7
    assert gallery.search(tmp_path / "photos" / "p0001.jpg").found
    assert gallery.check(sample=None).sound


def test_files_that_were_changed_or_are_gone_are_refused_by_their_reasons(
    exported: Path, open_gallery: Open, tmp_path: Path
) -> None:
    photos = tmp_path / "photos"
    (photos / "p0000.png").write_bytes(image(99, "PNG"))
    gone = [photos / "p0001.jpg", photos / "p0002.jpg"]
    for path in gone:
        path.unlink()
    report = open_gallery(tmp_path / "second").import_table(exported, photos)
    assert report.added == 4
    assert reasons(report) == {importing.NOT_THERE: 2, importing.CHANGED: 1}
    assert Path(report.refused[0].example) in gone


def test_photos_that_were_moved_are_found_where_they_lie_now(
    exported: Path, open_gallery: Open, tmp_path: Path
) -> None:
    shutil.move(tmp_path / "photos", tmp_path / "elsewhere")
    gallery = open_gallery(tmp_path / "second")
    report = gallery.import_table(exported, tmp_path / "elsewhere", moved_from=tmp_path / "photos")
    assert (report.added, report.refused) == (7, ())
    assert gallery.content_of(tmp_path / "elsewhere" / "p0001.jpg") is not None


def test_a_table_brings_in_no_file_outside_the_folders(
    exported: Path, open_gallery: Open, tmp_path: Path
) -> None:
    gallery = open_gallery(tmp_path / "second")
    assert reasons(gallery.import_table(exported)) == {importing.OUTSIDE: 7}
    gallery.add(tmp_path / "photos", exclude=["p0*"])
    gallery.remove(tmp_path / "photos" / "dated.jpg")
    report = gallery.import_table(exported)
    assert (report.added, reasons(report)) == (0, {importing.OUTSIDE: 7})
    with pytest.raises(QueryError, match="no folder"):
        gallery.import_table(exported, tmp_path / "nowhere")
    with pytest.raises(QueryError, match="0 are named"):
        gallery.import_table(exported, moved_from="old")


def test_images_in_the_table_are_kept_with_their_dates_and_places(
    open_gallery: Open, tmp_path: Path
) -> None:
    gallery = open_gallery()
    made, (outside,) = vectors(4), write_images(tmp_path / "outside", 1)
    table = write(
        tmp_path / "t.parquet",
        gallery.space,
        unique_id=["922D_249L", "a/b", "broken", "nothing"],
        embedding=[list(each) for each in made],
        timestamp=["2020-05-17T10:00:00Z", "yesterday", None, None],
        centre_lat=[55.7, 200.0, None, None],
        centre_lon=[13.2, 0.0, None, None],
        product_id=["S2A_MSIL2A", str(outside), "S2A_MSIL2A", "S2A_MSIL2A"],
        pixel_bbox=[[64, 0, 128, 64]] * 4,
        thumbnail=[image(1, "PNG"), image(2), b"no image", None],
    )
    report = gallery.import_table(table)
    assert report.added == 2
    assert reasons(report) == {importing.NO_IMAGE: 1, importing.NOT_THERE: 1}
    near = gallery.search_vector(made[0], where="near 55.7,13.2 within 1 km").hits
    assert [(hit.path.name, hit.score) for hit in near] == [
        ("922D_249L.png", pytest.approx(1, abs=1e-3))
    ]
    assert near[0].taken.isoformat() == "2020-05-17T10:00:00"
    (other,) = gallery.search_vector(made[1], limit=1).hits
    assert (other.taken, other.position, other.score) == (None, None, pytest.approx(1, abs=1e-3))
    again = gallery.import_table(table)
    assert (again.added, again.unchanged) == (0, 2)


def test_a_data_set_with_structures_of_images_and_relative_paths_is_imported(
    open_gallery: Open, tmp_path: Path
) -> None:
    gallery = open_gallery()
    write_images(tmp_path / "photos", 2)
    images = [
        {"bytes": image(9), "path": "gone.jpg"},
        {"bytes": None, "path": "photos/p0001.jpg"},
    ]
    table = write(
        tmp_path / "t.parquet",
        "",
        unique_id=["a", "b"],
        embedding=[list(each) for each in vectors(2)],
        image=images,
    )
    with pytest.raises(TableError, match="does not say of which vector space"):
        gallery.import_table(table)
    report = gallery.import_table(table, tmp_path / "photos", space=gallery.space)
    assert (report.added, report.refused) == (2, ())
    assert gallery.content_of(tmp_path / "photos" / "p0001.jpg") is not None


def test_a_vector_of_a_tile_or_of_nothing_is_no_images(open_gallery: Open, tmp_path: Path) -> None:
    gallery = open_gallery()
    (path,) = write_images(tmp_path / "photos", 1, first=1)
    one, two, three = vectors(3)
    rows = [
        TableRow("a", np.zeros(DIM, np.float32), str(path)),
        TableRow("b", one, str(path), pixel_bbox=(0, 0, 16, 24)),
        TableRow("c", two, str(path), pixel_bbox=(16, 0, 32, 24)),
        TableRow("d", three),
        TableRow("e", three, str(tmp_path)),
        TableRow("f", three, "x" * 5000),
    ]
    write_table(tmp_path / "t.parquet", rows, dim=DIM, space=gallery.space)
    report = gallery.import_table(tmp_path / "t.parquet", tmp_path)
    assert report.added == 0
    assert reasons(report) == {
        importing.TILE: 2,
        importing.NOT_THERE: 2,
        importing.NO_PATH: 1,
        importing.NO_VECTOR: 1,
    }


def test_tables_of_other_spaces_lengths_and_halves_are_clear_errors(
    open_gallery: Open, exported: Path, tmp_path: Path
) -> None:
    gallery, target = open_gallery(tmp_path / "second"), tmp_path / "t2.parquet"
    with pytest.raises(ModelMismatchError, match="says that its vectors are of"):
        gallery.import_table(exported, space="another")
    write_table(target, [TableRow("a", np.ones(DIM))], dim=DIM, space="another")
    with pytest.raises(ModelMismatchError, match="through a bridge"):
        gallery.import_table(target)
    write_table(target, [TableRow("a", np.ones(5))], dim=5, space=gallery.space)
    with pytest.raises(TableError, match="5 numbers, where 16 numbers are needed"):
        gallery.import_table(target)
    target.write_bytes(exported.read_bytes()[:-200])
    with pytest.raises(TableError, match="cannot be read as a Parquet file"):
        gallery.import_table(target)
    with pytest.raises(BridgeError):
        gallery.import_table(exported, bridge=exported)
    assert gallery.info().images == 0


def test_vectors_of_another_model_come_through_a_bridge(
    exported: Path, open_gallery: Open, tmp_path: Path
) -> None:
    turn = np.linalg.qr(np.random.default_rng(1).normal(size=(DIM, DIM)))[0].astype(np.float32)
    first, second = open_gallery(tmp_path / "first"), open_gallery(tmp_path / "second")
    anchors = np.stack(vectors(200))
    fitted = fit_bridge(anchors, anchors @ turn)
    bridge, target = tmp_path / "b.bridge", tmp_path / "theirs.parquet"
    save_bridge(
        bridge,
        fitted.bridge,
        old_space=first.space,
        new_space="theirs",
        anchors=fitted.anchors,
        glocal_version="1",
        measured=fitted.measured.figures(),
    )
    paths = sorted((tmp_path / "photos").iterdir())
    ours = [first.features(path).vector for path in paths]
    rows = [
        TableRow(path.stem, vector @ turn, str(path))
        for path, vector in zip(paths, ours, strict=True)
    ]
    write_table(target, rows, dim=DIM, space="theirs")
    assert second.import_table(target, tmp_path / "photos", bridge=bridge).added == 7
    known = second._store().vectors([second.content_of(path) for path in paths])
    brought = [known[second.content_of(path)] for path in paths]
    assert min(float(a @ b) for a, b in zip(ours, brought, strict=True)) > 0.95
    with pytest.raises(ModelMismatchError, match="leads from 'theirs'"):
        second.import_table(exported, bridge=bridge)


def test_memory_follows_the_rows_that_are_read_not_the_table(tmp_path: Path) -> None:
    rows = {
        "unique_id": [str(n) for n in range(128)],
        "embedding": [list(each) for each in vectors(128)],
        "image": [bytes([n]) * (1 << 17) for n in range(128)],
    }
    parquet.write_table(arrow.table(rows), tmp_path / "t.parquet", row_group_size=8)
    before, held, read = arrow.total_allocated_bytes(), [], 0
    for images in TableSource(EmbeddingTable(tmp_path / "t.parquet")).rows(DIM):
        held.append(arrow.total_allocated_bytes() - before)
        assert [each.image[0] for each in images] == list(range(read, read + len(images)))
        read += len(images)
    assert read == 128
    assert max(held) < 8 << 20  # of 16 MiB


def test_the_command_says_what_came_and_what_is_missing(
    exported: Path, tmp_path: Path, model: Path
) -> None:
    (tmp_path / "photos" / "p0001.jpg").unlink()
    target = ["--gallery", str(tmp_path / "second")]
    run = CliRunner().invoke(
        glocal, ["import", str(exported), str(tmp_path / "photos"), *target, "--model", str(model)]
    )
    assert "6 added, 0 updated, 0 unchanged, 1 refused of 7 rows" in run.output
    assert f"1 refused: {importing.NOT_THERE}, such as" in run.output
    assert "glocal index --refresh" in run.output
    said = CliRunner().invoke(glocal, ["import", str(exported), *target, "--json"]).output
    assert '"unchanged": 6' in said
