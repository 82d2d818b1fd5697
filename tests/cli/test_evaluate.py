"""`glocal evaluate` on small data sets whose figures are computed by hand."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any, ClassVar

import click
import numpy as np
import pytest
from click.testing import CliRunner, Result
from made_datasets import ShadeEncoder, shade
from PIL import Image, ImageDraw

from glocal.cli import evaluate as command
from glocal.cli.app import glocal
from glocal.errors import EvaluationError, GlocalError, ModelError
from glocal.evaluate import GroundTruth, write_ground_truth


@pytest.fixture
def encoder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ShadeEncoder:
    made = ShadeEncoder(tmp_path / "shade.onnx")
    monkeypatch.setattr(command, "load_encoder", lambda _spec, sha256, sessions: made)
    return made


def run(*arguments: str | Path) -> Result:
    result = CliRunner().invoke(glocal, ["evaluate", *map(str, arguments)], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result


def evaluated(*arguments: str | Path) -> dict[str, Any]:
    report = json.loads(run(*arguments, "--json").stdout)
    assert isinstance(report, dict)
    return report


def sheet(folder: Path, *arguments: str | Path) -> str:
    """The contact sheet of a run, whose table has the same rows as the JSON."""
    target = folder / "sheet.html"
    table = run(*arguments, "--html", target).stdout
    for row in evaluated(*arguments)["figures"]:
        assert any(line.startswith(row) for line in table.splitlines())
    return target.read_text(encoding="utf-8")


def close(**figures: float) -> Any:
    return pytest.approx({name.replace("_at_", "@"): value for name, value in figures.items()})


@pytest.fixture
def collection(tmp_path: Path) -> Path:
    """Label a has the shades 0, 10 and 40, label b 22 and 50."""
    for label, shades in (("a", (0, 10, 40)), ("b", (22, 50))):
        for value in shades:
            shade(tmp_path / "collection" / label / f"{value}.png", value)
    return tmp_path / "collection"


class Attack:
    """Makes a folder where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (self.path,)


@pytest.fixture
def others(tmp_path: Path) -> Path:
    shade(tmp_path / "others" / "deep" / "31.png", 31)
    return tmp_path / "others"


# Ranks of the correct results: 1 3, 1 3, 3 4 for the queries of label a; 4 and 1 for those of b.
FIGURES_LABELLED = {
    "mAP": ((1 + 2 / 3) / 2 * 2 + (1 / 3 + 2 / 4) / 2 + 1 / 4 + 1 / 2) / 5,
    "recall@1": 2 / 5,
    "recall@5": 1.0,
    "recall@10": 1.0,
    "R-precision": (1 / 2 + 1 / 2) / 5,
    "MAP@R": (1 / 2 + 1 / 2) / 5,
}
# With 31 among them: 1 4, 1 4, 4 5, 5, 3.
MAP_WITH_DISTRACTORS = ((1 + 2 / 4) / 2 * 2 + (1 / 4 + 2 / 5) / 2 + 1 / 5 + 1 / 3) / 5


@pytest.mark.usefixtures("encoder")
class TestLabelled:
    def test_leave_one_out(self, collection: Path) -> None:
        report = evaluated("labelled", collection)
        assert report["figures"] == {"leave-one-out": pytest.approx(FIGURES_LABELLED)}
        assert report["counts"] == {
            "queries": 5,
            "queries without a right answer": 0,
            "gallery": 5,
            "distractors": 0,
        }
        assert report["skipped"] == []
        assert report["protocol"] == "labelled"
        assert report["model"]["name"] == "shade"

    def test_distractors_are_neither_queries_nor_correct(
        self, collection: Path, others: Path
    ) -> None:
        report = evaluated("labelled", collection, "--distractors", others)
        assert report["figures"]["leave-one-out"]["mAP"] == pytest.approx(MAP_WITH_DISTRACTORS)
        assert report["counts"] == {
            "queries": 5,
            "queries without a right answer": 0,
            "gallery": 6,
            "distractors": 1,
        }

    @pytest.mark.parametrize("column", ["label", "instance"])
    def test_a_csv_file_gives_the_same_figures(
        self, collection: Path, others: Path, tmp_path: Path, column: str
    ) -> None:
        lines = [f"note,path,{column}"]
        lines += [f'"x, y",collection/a/{value}.png,first' for value in (0, 10, 40)]
        lines += [f",collection/b/{value}.png,second" for value in (22, 50)]
        lines += [f",{others / 'deep' / '31.png'},distractor"]
        table = tmp_path / "labels.csv"
        table.write_text("\n".join(lines), encoding="utf-8")
        report = evaluated("labelled", table)
        assert report["figures"]["leave-one-out"]["mAP"] == pytest.approx(MAP_WITH_DISTRACTORS)
        assert report["counts"]["queries"] == 5

    def test_a_query_set_is_searched_for_in_the_gallery_is_searched_for_in_the_gallery(
        self, collection: Path, tmp_path: Path
    ) -> None:
        shade(tmp_path / "queries" / "a" / "5.png", 5)  # 0 and 10, then 22, then 40
        shade(tmp_path / "queries" / "b" / "60.png", 60)  # 50, 40, 22
        shade(tmp_path / "queries" / "c" / "70.png", 70)  # nothing is c
        report = evaluated("labelled", collection, "--queries", tmp_path / "queries")
        figures = report["figures"]["query set"]
        assert figures["mAP"] == pytest.approx(((1 + 1 + 3 / 4) / 3 + (1 + 2 / 3) / 2) / 2)
        assert figures["recall@1"] == 1.0
        assert report["counts"] == {
            "queries": 2,
            "queries without a right answer": 1,
            "gallery": 5,
            "distractors": 0,
        }

    def test_unreadable_images_are_left_out_and_listed(self, collection: Path) -> None:
        (collection / "a" / "torn.jpg").write_bytes(b"\xff\xd8\xff\xe0 and no more")
        (collection / "b" / "empty.png").touch()
        report = evaluated("labelled", collection)
        assert report["figures"] == {"leave-one-out": pytest.approx(FIGURES_LABELLED)}
        assert report["counts"]["gallery"] == 5
        assert [Path(failure["path"]).name for failure in report["skipped"]] == [
            "torn.jpg",
            "empty.png",
        ]
        shown = run("labelled", collection)
        assert "2 skipped" in shown.stdout
        assert "empty.png: empty file" in shown.stderr

    def test_no_readable_image_is_an_error(self, tmp_path: Path) -> None:
        for name in ("x", "y"):
            (tmp_path / "bad" / "a").mkdir(parents=True, exist_ok=True)
            (tmp_path / "bad" / "a" / f"{name}.jpg").touch()
        with pytest.raises(EvaluationError, match=r"none of the 2 query photos .*x\.jpg: empty"):
            run("labelled", tmp_path / "bad")


@pytest.mark.usefixtures("encoder")
class TestRevisited:
    @pytest.fixture
    def oxford(self, tmp_path: Path) -> Path:
        """The query region has shade 105, the database 100, 120, 140, 160 and 180."""
        folder = tmp_path / "oxford"
        for number, value in enumerate((100, 120, 140, 160, 180)):
            shade(folder / "jpg" / f"d{number}.jpg", value)
        shade(folder / "jpg" / "query.jpg", 250, 105)
        write_ground_truth(folder / "gnd_made.json", self.truth())
        return folder

    @staticmethod
    def truth() -> GroundTruth:
        return GroundTruth(
            query_names=("query",),
            database_names=tuple(f"d{number}" for number in range(5)),
            easy=(np.array([1]),),
            hard=(np.array([3]),),
            junk=(np.array([0]),),
            boxes=np.array([[8.0, 0.0, 16.0, 16.0]]),
        )

    # Ranks (from 0) of the correct results among those that count: 0 (easy); 0, 2 (medium); 1.
    FIGURES: ClassVar[dict[str, Any]] = {
        "easy": {"mAP": 1.0, "mP@1": 1.0, "mP@5": 1.0, "mP@10": 1.0},
        "medium": {
            "mAP": (1 + (1 / 2 + 2 / 3) / 2) / 2,
            "mP@1": 1.0,
            "mP@5": 2 / 3,
            "mP@10": 2 / 3,
        },
        "hard": {"mAP": 1 / 4, "mP@1": 0.0, "mP@5": 1 / 2, "mP@10": 1 / 2},
    }

    def test_queries_are_cropped_and_each_setup_is_evaluated(self, oxford: Path) -> None:
        report = evaluated("revisited", oxford)
        assert report["figures"] == {
            setup: pytest.approx(row) for setup, row in self.FIGURES.items()
        }
        assert report["counts"]["gallery"] == 5

    def test_the_published_pickle_file_is_read(self, oxford: Path) -> None:
        entry = {"easy": [1], "hard": [3], "junk": [0], "bbx": [8.0, 0.0, 16.0, 16.0]}
        document = {
            "imlist": [f"d{number}" for number in range(5)],
            "qimlist": ["query"],
            "gnd": [entry],
        }
        (oxford / "gnd_made.json").unlink()
        (oxford / "gnd_roxford5k.pkl").write_bytes(pickle.dumps(document))
        report = evaluated("revisited", oxford)
        assert report["figures"]["medium"] == pytest.approx(self.FIGURES["medium"])

    def test_a_pickle_that_would_run_code_is_refused(
        self, oxford: Path, encoder: ShadeEncoder, tmp_path: Path
    ) -> None:
        (oxford / "gnd_made.json").unlink()
        for protocol in range(6):
            attack = pickle.dumps({"imlist": Attack(tmp_path / "proof")}, protocol)
            (oxford / "gnd_roxford5k.pkl").write_bytes(attack)
            with pytest.raises(EvaluationError, match=r"gnd_roxford5k\.pkl.*nothing in it was run"):
                run("revisited", oxford)
        assert encoder.encoded == 0
        assert not (tmp_path / "proof").exists()

    def test_the_sheet_leaves_junk_unmarked(self, oxford: Path, tmp_path: Path) -> None:
        page = sheet(tmp_path, "revisited", oxford)
        assert "Worst 1: query.jpg" in page
        assert page.count('<li title="') == 5
        assert page.count('class="right"') == 2
        assert page.count('class="wrong"') == 2
        assert "medium" in page

    def test_distractors_lower_the_figures(self, oxford: Path, tmp_path: Path) -> None:
        shade(tmp_path / "million" / "110.jpg", 110)
        report = evaluated("revisited", oxford, "--distractors", tmp_path / "million")
        assert report["figures"]["easy"]["mAP"] == pytest.approx((0 + 1 / 2) / 2)
        assert report["counts"]["distractors"] == 1

    def test_data_may_be_the_ground_truth_file(self, oxford: Path) -> None:
        write_ground_truth(oxford / "gnd_other.json", self.truth())
        with pytest.raises(EvaluationError, match=r"gnd_made\.json, gnd_other\.json"):
            run("revisited", oxford)
        report = evaluated("revisited", oxford / "gnd_other.json")
        assert report["figures"]["hard"] == pytest.approx(self.FIGURES["hard"])

    def test_a_missing_correct_image_counts_as_not_found(self, oxford: Path) -> None:
        (oxford / "jpg" / "d3.jpg").unlink()
        report = evaluated("revisited", oxford)
        assert report["figures"]["hard"]["mAP"] == 0.0
        assert report["figures"]["medium"]["mAP"] == pytest.approx(1 / 2)
        assert [Path(failure["path"]).name for failure in report["skipped"]] == ["d3.jpg"]


@pytest.mark.usefixtures("encoder")
class TestLandmarks:
    @pytest.fixture
    def landmarks(self, tmp_path: Path) -> Path:
        folder = tmp_path / "gldv2"
        (folder / "test").mkdir(parents=True)
        for name, value in (("ddd0", 12), ("ddd1", 205), ("ddd3", 14)):
            self.put(folder, "test", name, value)
        return folder

    @staticmethod
    def put(folder: Path, side: str, name: str, value: int) -> None:
        shade(folder.joinpath(side, *name[:3], f"{name}.jpg"), value)

    def add_retrieval(self, folder: Path) -> None:
        for name, value in (("aaa0", 10), ("aaa1", 20), ("bbb0", 30), ("ccc0", 200)):
            self.put(folder, "index", name, value)
        (folder / "retrieval_solution_v2.1.csv").write_text(
            "id,images,Usage\n"
            "ddd0,aaa0 bbb0,Public\n"  # ranks 1 and 3
            "ddd1,bbb0,Private\n"  # 200, then 30
            "ddd2,None,Ignored\n"
            "ddd3,eee0,Public\n"  # not there
        )

    def add_recognition(self, folder: Path) -> None:
        for name, value in (("t70", 10), ("t71", 14), ("t72", 18)):
            self.put(folder, "train", name, value)
        for name, value in (("t80", 200), ("t81", 204), ("t82", 250), ("t99", 12)):
            self.put(folder, "train", name, value)
        (folder / "train.csv").write_text(
            "id,url,landmark_id\n"
            't70,"https://example.org/a,b.jpg",7\n'
            "t71,u,7\nt72,u,7\nt80,u,8\nt81,u,8\nt82,u,8\nt00,u,8\n"  # t99 has no label
        )
        (folder / "recognition_solution_v2.1.csv").write_text(
            "id,landmarks,Usage\n"
            "ddd0,7,Public\n"  # 12 is correct, with a lower score
            "ddd1,7,Private\n"  # 205 is called 8
            "ddd2,,Ignored\n"
            "ddd3,,Public\n"  # than 14, which is in the middle of 10, 14 and 18
        )

    def test_retrieval(self, landmarks: Path) -> None:
        self.add_retrieval(landmarks)
        report = evaluated("landmarks", landmarks)
        assert report["figures"] == {
            "retrieval mAP@100": close(public=((1 + 2 / 3) / 2 + 0) / 2, private=1 / 2)
        }
        assert report["counts"] == {"retrieval queries": 3, "index": 5}
        (missing,) = report["skipped"]
        assert Path(missing["path"]) == landmarks / "index" / "e" / "e" / "e" / "eee0.jpg"

    def test_recognition(self, landmarks: Path) -> None:
        self.add_recognition(landmarks)
        report = evaluated("landmarks", landmarks)
        assert report["figures"] == {"recognition GAP": close(public=1 / 2, private=0.0)}
        assert report["counts"] == {"recognition queries": 3, "train": 6}

    def test_the_table_of_the_clean_set_is_read(self, landmarks: Path) -> None:
        self.add_recognition(landmarks)
        (landmarks / "train.csv").unlink()
        (landmarks / "train_clean.csv").write_text(
            "landmark_id,images\n7,t70 t71 t72\n8,t80 t81 t82\n"
        )
        report = evaluated("landmarks", landmarks)
        assert report["figures"] == {"recognition GAP": close(public=1 / 2, private=0.0)}

    def test_both_tasks_are_in_one_report(self, landmarks: Path) -> None:
        self.add_retrieval(landmarks)
        self.add_recognition(landmarks)
        report = evaluated("landmarks", landmarks)
        assert list(report["figures"]) == ["retrieval mAP@100", "recognition GAP"]
        assert report["counts"]["recognition queries"] == 3

    def test_the_sheet_has_both_tasks(self, landmarks: Path, tmp_path: Path) -> None:
        self.add_retrieval(landmarks)
        self.add_recognition(landmarks)
        page = sheet(tmp_path, "landmarks", landmarks)
        assert "retrieval mAP@100" in page
        assert "recognition GAP" in page
        assert page.count('title="Worst 1: ') == 2
        assert 'class="right"' in page
        assert "the first correct result is bbb0.jpg at rank 2" in page


@pytest.mark.usefixtures("encoder")
class TestCopies:
    @pytest.fixture
    def disc(self, tmp_path: Path) -> Path:
        folder = tmp_path / "disc"
        for name, value in (("R0", 50), ("R1", 100), ("R2", 150)):
            shade(folder / "references" / f"{name}.jpg", value)
        for name, value in (("Q0", 52), ("Q1", 103), ("Q2", 151), ("Q3", 20)):
            shade(folder / "queries" / f"{name}.jpg", value)
        return folder

    def test_every_query_image_counts_if_only_copies_are_listed(self, disc: Path) -> None:
        (disc / "ground_truth.csv").write_text("query_id,reference_id\nQ0,R0\nQ1,R2\n")
        report = evaluated("copies", disc)
        # by score: 151-150, 52-50 (correct), 103-100, 20-50, then 103-150 (correct)
        assert report["figures"] == {
            "copies": {"μAP": pytest.approx((1 / 2 + 2 / 5) / 2), "recall@P90": 0.0}
        }
        assert report["counts"] == {
            "queries": 4,
            "references": 3,
            "true pairs": 2,
            "predictions": 12,
        }

    def test_the_table_names_the_queries_if_it_lists_some_without_copies(self, disc: Path) -> None:
        table = "query_id,reference_id\nQ0,R0\nQ1,R2\nQ3,\n"
        (disc / "dev_queries_groundtruth.csv").write_text(table)
        report = evaluated("copies", disc)
        assert report["figures"] == {
            "copies": {"μAP": pytest.approx((1 + 2 / 4) / 2), "recall@P90": 1 / 2}
        }
        assert report["counts"]["queries"] == 3

    def test_missing_images_count_as_not_found(self, disc: Path) -> None:
        (disc / "ground_truth.csv").write_text("query_id,reference_id\nQ0,R0\nQ9,R9\nQ3,\n")
        report = evaluated("copies", disc)
        assert report["figures"]["copies"]["μAP"] == pytest.approx(1 / 2)
        assert [failure["path"] for failure in report["skipped"]] == [
            str(disc / "queries" / "Q9.jpg"),
            str(disc / "references" / "R9.jpg"),
        ]

    def test_predicted_distractors_are_wrong(self, disc: Path, tmp_path: Path) -> None:
        (disc / "ground_truth.csv").write_text("query_id,reference_id\nQ0,R0\nQ3,\n")
        shade(tmp_path / "more" / "R0.jpg", 52)  # of a reference's name, and nearer
        report = evaluated("copies", disc, "--distractors", tmp_path / "more")
        assert report["figures"]["copies"]["μAP"] == pytest.approx(1 / 2)

    def test_the_sheet_orders_queries_by_their_copies(self, disc: Path, tmp_path: Path) -> None:
        (disc / "ground_truth.csv").write_text("query_id,reference_id\nQ0,R0\nQ1,R2\n")
        page = sheet(tmp_path, "copies", disc)
        # Nothing was copied into Q2, and yet it is nearer to a reference than the copies are.
        assert "Worst 1: Q2.jpg" in page
        assert page.index("Worst 1: Q2.jpg") < page.index("Worst 3: Q1.jpg")
        assert 'title="Worst 4: Q0.jpg"' in page
        assert "the first correct result is R2.jpg at rank" in page
        assert "μAP" in page


@pytest.mark.usefixtures("encoder")
class TestPlaces:
    # easting, shade
    DATABASE = ((0, 10), (100, 20), (200, 30))
    QUERIES = ((5, 21), (195, 31), (1000, 20))  # right at rank 3, at rank 1, nowhere near
    FIGURES: ClassVar[dict[str, Any]] = {
        "recall@1": 0.5,
        "recall@5": 1.0,
        "recall@10": 1.0,
        "recall@20": 1.0,
    }

    @pytest.fixture
    def street(self, tmp_path: Path) -> Path:
        for side, images in (("database", self.DATABASE), ("queries", self.QUERIES)):
            for east, value in images:
                shade(tmp_path / "street" / side / f"@{east}.5@4180000.25@10@S@@.jpg", value)
        return tmp_path / "street"

    def test_positions_are_read_from_file_names(self, street: Path) -> None:
        report = evaluated("places", street)
        assert report["figures"] == {"within 25 m": pytest.approx(self.FIGURES)}
        assert report["counts"] == {
            "queries": 2,
            "queries without a place in the database": 1,
            "database": 3,
        }

    def test_positions_are_read_from_csv_files(self, street: Path) -> None:
        degree = 111_195.0  # metres of longitude at the equator
        for side, images in (("database", self.DATABASE), ("queries", self.QUERIES)):
            lines = ["path,latitude,longitude"]
            for east, _ in images:
                lines.append(f"{side}/@{east}.5@4180000.25@10@S@@.jpg,0.0,{east / degree}")
            (street / f"{side}.csv").write_text("\n".join(lines))
        assert evaluated("places", street)["figures"] == {
            "within 25 m": pytest.approx(self.FIGURES)
        }

    def test_the_sheet_marks_places_within_25_metres(self, street: Path, tmp_path: Path) -> None:
        page = sheet(tmp_path, "places", street)
        assert page.count('<li title="') == 2 * 3
        assert page.count('class="right"') == 2
        assert "within 25 m" in page

    def test_an_unreadable_query_counts_as_not_found(self, street: Path) -> None:
        (street / "queries" / "@195.5@4180000.25@10@S@@.jpg").write_bytes(b"no image")
        report = evaluated("places", street)
        assert report["figures"]["within 25 m"]["recall@20"] == pytest.approx(1 / 2)
        assert len(report["skipped"]) == 1


@pytest.mark.usefixtures("encoder")
class TestOutput:
    def test_the_table_is_in_percent(self, collection: Path) -> None:
        head, row, counts, model = run("labelled", collection).stdout.splitlines()
        assert head.split() == ["mAP", "recall@1", "recall@5", "recall@10", "R-precision", "MAP@R"]
        assert row.split() == [
            "leave-one-out", "56.67", "40.00", "100.00", "100.00", "20.00", "20.00",
        ]  # fmt: skip
        assert len(head) == len(row)
        assert counts.startswith("queries: 5, ")
        assert model.startswith("shade version 3: 5 photos encoded, 0 skipped in ")

    def test_a_figure_without_queries_is_null_and_a_dash(self, tmp_path: Path) -> None:
        street = tmp_path / "street"
        shade(street / "queries" / "@0@0@.jpg", 1)
        shade(street / "database" / "@900@0@.jpg", 1)
        figures = evaluated("places", street)["figures"]["within 25 m"]
        assert set(figures.values()) == {None}
        assert "–" in run("places", street).stdout

    def test_the_sheet_marks_correct_and_wrong_hits(self, collection: Path, tmp_path: Path) -> None:
        target = tmp_path / "sheet.html"
        result = run("labelled", collection, "--html", target)
        assert f"wrote {target}" in result.stderr
        page = target.read_text(encoding="utf-8")
        assert page.count('<li title="') == 5 * 4
        assert page.count('class="right"') == 3 * 2 + 2 * 1
        assert page.count('class="wrong"') == 3 * 2 + 2 * 3
        assert "in b; AP 0.250; the first correct result is 50.png at rank 4" in page
        assert "mAP 56.67" in page
        worst = page.index("Worst 1: 22.png")
        assert worst < page.index("Worst 2: 40.png")

    def test_a_missing_folder_for_the_sheet_is_an_error_before_encoding(
        self, collection: Path, encoder: ShadeEncoder, tmp_path: Path
    ) -> None:
        with pytest.raises(GlocalError, match="no folder"):
            run("labelled", collection, "--html", tmp_path / "nowhere" / "sheet.html")
        assert encoder.encoded == 0

    def test_json_is_one_line_and_alone_on_standard_output(
        self, collection: Path, tmp_path: Path
    ) -> None:
        result = run("labelled", collection, "--json", "--html", tmp_path / "sheet.html")
        assert len(result.stdout.splitlines()) == 1


class TestCache:
    def test_cached_vectors_are_not_encoded_again(
        self, collection: Path, encoder: ShadeEncoder, tmp_path: Path
    ) -> None:
        keep = tmp_path / "keep"
        first = evaluated("labelled", collection, "--cache", keep)
        assert (encoder.encoded, first["cached"]) == (5, 0)
        again = evaluated("labelled", collection, "--cache", keep)
        assert (encoder.encoded, again["cached"]) == (5, 5)
        assert again["figures"] == first["figures"]
        assert "5 from the cache" in run("labelled", collection, "--cache", keep).stdout

    def test_a_changed_file_is_encoded_again(
        self, collection: Path, encoder: ShadeEncoder, tmp_path: Path
    ) -> None:
        keep = tmp_path / "keep"
        evaluated("labelled", collection, "--cache", keep)
        shade(collection / "a" / "40.png", 5)
        os.utime(collection / "a" / "40.png", (1, 1))  # the clock of the disk may be coarse
        report = evaluated("labelled", collection, "--cache", keep)
        assert (encoder.encoded, report["cached"]) == (6, 4)
        assert report["figures"]["leave-one-out"]["recall@1"] == pytest.approx(4 / 5)

    def test_an_interrupted_run_continues_from_the_cache(
        self, collection: Path, encoder: ShadeEncoder, tmp_path: Path
    ) -> None:
        encoder.stop_at = 3
        with pytest.raises(GlocalError, match="--cache"):
            run("labelled", collection)
        encoder.stop_at, encoder.encoded = 3, 0
        with pytest.raises(click.Abort):
            run("labelled", collection, "--cache", tmp_path / "keep")
        encoder.stop_at = None
        report = evaluated("labelled", collection, "--cache", tmp_path / "keep")
        assert report["cached"] >= 1
        assert report["figures"] == {"leave-one-out": pytest.approx(FIGURES_LABELLED)}


def test_an_unknown_model_is_an_error(collection: Path) -> None:
    with pytest.raises(ModelError, match="no model 'nothing'"):
        run("labelled", collection, "--model", "nothing")


def test_the_program_runs_with_the_default_model(tmp_path: Path) -> None:
    """With the model that comes with glocal: small copies of images find them."""
    for label in ("bars", "discs", "lines"):
        image = Image.new("RGB", (320, 320), (230, 220, 200))
        draw = ImageDraw.Draw(image)
        for at in range(20, 300, 36):
            if label == "bars":
                draw.rectangle((at, 0, at + 14, 320), fill=(20, 60, 160))
            elif label == "discs":
                draw.ellipse((at - 10, at - 15, at + 60, at + 40), fill=(200, 30, 30))
            else:
                draw.line((0, at, 320, 320 - at), fill=(0, 90, 0), width=3)
        (tmp_path / "made" / label).mkdir(parents=True)
        image.save(tmp_path / "made" / label / "large.png")
        image.resize((250, 250)).save(tmp_path / "made" / label / "small.jpg", quality=90)
    (tmp_path / "made" / "bars" / "torn.jpg").write_bytes(b"\xff\xd8\xff")
    command = [sys.executable, "-m", "glocal", "evaluate"]
    done = subprocess.run(
        [*command, "labelled", str(tmp_path / "made"), "--json"],
        capture_output=True, check=True, text=True, encoding="utf-8",
    )  # fmt: skip
    report = json.loads(done.stdout)
    assert report["figures"]["leave-one-out"]["recall@1"] == 1.0
    assert len(report["skipped"]) == 1
    assert done.stderr == ""
    failed = subprocess.run(
        [*command, "places", str(tmp_path / "made")],
        capture_output=True, check=False, text=True, encoding="utf-8",
    )  # fmt: skip
    assert failed.returncode == 1
    assert failed.stderr.startswith("glocal: there is no folder")
    assert "Traceback" not in failed.stderr
