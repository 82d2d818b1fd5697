"""The readers of data sets: the images they list, and the layouts they refuse."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from glocal.errors import EvaluationError
from glocal.evaluate import GroundTruth, write_ground_truth
from glocal.evaluate.datasets import (
    Sample,
    read_copies,
    read_labelled,
    read_landmarks,
    read_places,
    read_revisited,
)
from glocal.evaluate.datasets.listing import images_below, read_table


def is_jpg(name: str) -> bool:
    return name.endswith(".jpg")


def put(*paths: Path) -> None:
    """Empty files: no reader opens an image."""
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


class TestListing:
    def test_images_are_listed_sorted_without_hidden_files(self, tmp_path: Path) -> None:
        wanted = [tmp_path / "a" / "x.jpg", tmp_path / "b" / "deep" / "y.jpg", tmp_path / "z.jpg"]
        put(*wanted, tmp_path / "a" / "notes.txt", tmp_path / ".git" / "w.jpg", tmp_path / ".v.jpg")
        assert images_below(tmp_path, is_jpg) == wanted

    def test_links_are_followed_but_not_in_circles(self, tmp_path: Path) -> None:
        put(tmp_path / "elsewhere" / "x.jpg", tmp_path / "data" / "a" / "y.jpg")
        (tmp_path / "data" / "b").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "data" / "a" / "up").symlink_to(tmp_path / "data")
        assert images_below(tmp_path / "data", is_jpg) == [
            tmp_path / "data" / "a" / "y.jpg",
            tmp_path / "data" / "b" / "x.jpg",
        ]

    def test_a_table_may_be_quoted_and_wide(self, tmp_path: Path) -> None:
        table = tmp_path / "t.csv"
        table.write_bytes('\ufeffpath,skip,label\r\n"a, ""b"".jpg",,x\r\n\r\nc.jpg,,y\r\n'.encode())
        rows = list(read_table(table, [("label", "other"), ("path",)]))
        assert rows == [(2, ("x", 'a, "b".jpg')), (4, ("y", "c.jpg"))]

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"path,name\n", "no column label or instance; .*'path, name'"),
            (b"", "no column path"),
            (b"path,label\nonly\n", "line 2: 1 fields where the header has 2"),
            (b"path,label\n\xff,x\n", "not a comma-separated UTF-8 table"),
            (b'path,label\n"a"b,x\n', "not a comma-separated UTF-8 table"),
        ],
    )
    def test_other_tables_are_refused(self, tmp_path: Path, content: bytes, message: str) -> None:
        table = tmp_path / "t.csv"
        table.write_bytes(content)
        with pytest.raises(EvaluationError, match=message):
            list(read_table(table, [("path",), ("label", "instance")]))

    def test_a_missing_table_is_refused(self, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match=r"the table .*gone\.csv cannot be read"):
            list(read_table(tmp_path / "gone.csv", [("path",)]))


class TestLabelled:
    def test_labels_are_folders_below_the_data(self, tmp_path: Path) -> None:
        put(*(tmp_path / "fruit" / kind / f"{n}.jpg" for kind in ("apple", "pear") for n in "12"))
        put(tmp_path / "distractor" / "0.jpg")
        evaluation = read_labelled(tmp_path, is_jpg)
        assert evaluation.gallery_labels == ["fruit/apple"] * 2 + ["fruit/pear"] * 2
        assert evaluation.queries == evaluation.gallery[:4]
        assert evaluation.gallery[4:] == [Sample(tmp_path / "distractor" / "0.jpg")]
        assert evaluation.leave_one_out
        assert evaluation.is_right(0, 1)
        assert not evaluation.is_right(0, 2)
        assert not evaluation.is_right(0, 4)

    def test_paths_of_a_table_are_relative_to_it(self, tmp_path: Path) -> None:
        (tmp_path / "t.csv").write_text("path,label\nx/1.jpg,a\nx/2.jpg,a\n")
        evaluation = read_labelled(tmp_path / "t.csv", is_jpg)
        assert evaluation.queries == [Sample(tmp_path / "x" / f"{n}.jpg") for n in "12"]

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            ("path,label\n1.jpg,a\n./1.jpg,b\n", r"line 3: \./1\.jpg is listed in line 2 too"),
            ("path,label\n1.jpg,\n", "line 2: no label"),
            ("path,label\n,a\n", "line 2: no path"),
            ("path,label\n1.jpg,distractor\n", "no labelled image"),
            ("path,label\n1.jpg,a\n2.jpg,b\n", "no label of .* has two images"),
        ],
    )
    def test_invalid_tables_are_refused(self, tmp_path: Path, table: str, message: str) -> None:
        (tmp_path / "t.csv").write_text(table)
        with pytest.raises(EvaluationError, match=message):
            read_labelled(tmp_path / "t.csv", is_jpg)

    def test_images_outside_a_label_folder_are_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "a" / "1.jpg", tmp_path / "stray.jpg")
        with pytest.raises(EvaluationError, match=r"stray\.jpg has no label"):
            read_labelled(tmp_path, is_jpg)

    @pytest.mark.parametrize("folder", ["missing", "empty"])
    def test_a_missing_data_set_is_refused(self, tmp_path: Path, folder: str) -> None:
        (tmp_path / "empty").mkdir()
        with pytest.raises(EvaluationError, match="should hold a folder of images for each label"):
            read_labelled(tmp_path / folder, is_jpg)

    def test_queries_that_are_also_in_the_gallery_are_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "a" / "1.jpg", tmp_path / "a" / "2.jpg")
        with pytest.raises(EvaluationError, match=r"1\.jpg is a query and in the gallery"):
            read_labelled(tmp_path, is_jpg, queries=tmp_path)

    def test_queries_without_a_common_label_are_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "data" / "a" / "1.jpg", tmp_path / "asked" / "A" / "2.jpg")
        with pytest.raises(EvaluationError, match="the first are 'A' and 'a'"):
            read_labelled(tmp_path / "data", is_jpg, queries=tmp_path / "asked")

    def test_distractors_join_the_gallery_without_a_label(self, tmp_path: Path) -> None:
        put(tmp_path / "data" / "a" / "1.jpg", tmp_path / "data" / "a" / "2.jpg")
        put(tmp_path / "more" / "3.jpg", tmp_path / "more" / "in" / "4.jpg")
        more = [tmp_path / "more", tmp_path / "more" / "in"]
        evaluation = read_labelled(tmp_path / "data", is_jpg, distractors=more)
        assert [sample.path.name for sample in evaluation.gallery] == [
            "1.jpg", "2.jpg", "3.jpg", "4.jpg",
        ]  # fmt: skip
        with pytest.raises(EvaluationError, match=r"1\.jpg cannot be a distractor"):
            read_labelled(tmp_path / "data", is_jpg, distractors=[tmp_path / "data"])
        (tmp_path / "none").mkdir()
        with pytest.raises(EvaluationError, match=r"no image below .*none"):
            read_labelled(tmp_path / "data", is_jpg, distractors=[tmp_path / "none"])
        with pytest.raises(EvaluationError, match=r"no folder .*gone; it should hold distractors"):
            read_labelled(tmp_path / "data", is_jpg, distractors=[tmp_path / "gone"])


class TestRevisited:
    def write(self, folder: Path, **changes: Any) -> Path:
        parts: dict[str, Any] = {
            "query_names": ("q",),
            "database_names": ("d0", "d1"),
            "easy": (np.array([0]),),
            "hard": (np.array([], np.int64),),
            "junk": (np.array([1]),),
            "boxes": np.array([[10.0, 20.0, 110.0, 70.0]]),
        }
        folder.mkdir(exist_ok=True)
        write_ground_truth(folder / "gnd_x.json", GroundTruth(**parts | changes))
        return folder

    def test_boxes_become_regions_and_distractors_join(self, tmp_path: Path) -> None:
        data = self.write(tmp_path / "data")
        (data / "jpg").mkdir()
        put(tmp_path / "more" / "d0.jpg")
        evaluation = read_revisited(data, is_jpg, distractors=[tmp_path / "more"])
        assert evaluation.queries == [Sample(data / "jpg" / "q.jpg", (10.0, 20.0, 100.0, 50.0))]
        assert [sample.path for sample in evaluation.gallery] == [
            data / "jpg" / "d0.jpg",
            data / "jpg" / "d1.jpg",
            tmp_path / "more" / "d0.jpg",
        ]
        assert len(evaluation.truth.database_names) == 3
        assert [evaluation.is_right(0, answer) for answer in range(3)] == [True, None, False]

    def test_no_box_is_the_whole_image(self, tmp_path: Path) -> None:
        data = self.write(tmp_path / "data", boxes=np.full((1, 4), np.nan))
        (data / "jpg").mkdir()
        assert read_revisited(data, is_jpg).queries == [Sample(data / "jpg" / "q.jpg")]

    def test_other_layouts_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match=r"there is no ground truth in .*gnd_\*\.pkl"):
            read_revisited(tmp_path, is_jpg)
        data = self.write(tmp_path / "data")
        with pytest.raises(EvaluationError, match=r"no folder .*jpg; it should hold the images"):
            read_revisited(data, is_jpg)
        (data / "jpg").mkdir()
        self.write(data, boxes=np.array([[10.0, 20.0, 10.0, 70.0]]))
        with pytest.raises(EvaluationError, match=r"the box of query 'q' .* pixel wide"):
            read_revisited(data, is_jpg)
        self.write(data, query_names=("../../q",))
        with pytest.raises(EvaluationError, match="not a plain file name"):
            read_revisited(data, is_jpg)
        nothing: tuple[Any, ...] = ()
        self.write(
            data, query_names=(), easy=nothing, hard=nothing, junk=nothing, boxes=np.empty((0, 4))
        )
        with pytest.raises(EvaluationError, match="no query or no database image"):
            read_revisited(data, is_jpg)


class TestLandmarks:
    def test_other_layouts_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match="the files of neither task"):
            read_landmarks(tmp_path, is_jpg)
        put(tmp_path / "index" / "a" / "a.jpg")
        (tmp_path / "retrieval_solution_v2.1.csv").write_text("id,images,Usage\nt,None,Ignored\n")
        with pytest.raises(EvaluationError, match=r"no folder .*test; it should hold the test"):
            read_landmarks(tmp_path, is_jpg)
        put(tmp_path / "test" / "t.jpg")
        with pytest.raises(EvaluationError, match="no test image in its public or private part"):
            read_landmarks(tmp_path, is_jpg)
        put(tmp_path / "retrieval_solution_v2.csv")
        with pytest.raises(EvaluationError, match="several solutions of retrieval"):
            read_landmarks(tmp_path, is_jpg)

    def test_train_images_need_labels(self, tmp_path: Path) -> None:
        put(tmp_path / "train" / "a.jpg", tmp_path / "test" / "t.jpg")
        (tmp_path / "recognition_solution.csv").write_text("id,landmarks,Usage\nt,1,Public\n")
        with pytest.raises(EvaluationError, match=r"neither train\.csv"):
            read_landmarks(tmp_path, is_jpg)
        (tmp_path / "train.csv").write_text("id,landmark_id\nb,1\n")
        with pytest.raises(EvaluationError, match=r"the first are 'a' there and 'b' in it"):
            read_landmarks(tmp_path, is_jpg)
        (tmp_path / "train.csv").write_text("id,landmark_id\na,one\n")
        with pytest.raises(EvaluationError, match="line 2: 'one' is not a landmark number"):
            read_landmarks(tmp_path, is_jpg)

    def test_two_images_with_one_identifier_are_refused(self, tmp_path: Path) -> None:
        put(tmp_path / "index" / "a.jpg", tmp_path / "test" / "t.jpg", tmp_path / "test/s/t.jpg")
        (tmp_path / "retrieval_solution.csv").write_text("id,images,Usage\nt,a,Public\n")
        with pytest.raises(EvaluationError, match="have one identifier, 't'"):
            read_landmarks(tmp_path, is_jpg)


class TestCopies:
    def test_other_layouts_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match="of tables with ground truth it has none"):
            read_copies(tmp_path, is_jpg)
        for name in ("public_ground_truth.csv", "dev_queries_groundtruth.csv"):
            (tmp_path / name).write_text("query_id,reference_id\nQ,R\n")
        with pytest.raises(EvaluationError, match=r"several \(dev_queries_groundtruth\.csv, publ"):
            read_copies(tmp_path, is_jpg)
        (tmp_path / "ground_truth.csv").write_text("query_id,reference_id\nQ,\n")
        with pytest.raises(EvaluationError, match="names no copy"):
            read_copies(tmp_path, is_jpg)
        (tmp_path / "ground_truth.csv").write_text("query_id,reference_id\nQ,R\n")
        with pytest.raises(EvaluationError, match=r"no folder .*queries; it should hold"):
            read_copies(tmp_path, is_jpg)
        (tmp_path / "queries").mkdir()
        with pytest.raises(EvaluationError, match=r"no image below .*queries"):
            read_copies(tmp_path, is_jpg)


class TestPlaces:
    def test_names_give_easting_and_northing(self, tmp_path: Path) -> None:
        for side in ("queries", "database"):
            put(tmp_path / side / "@0551234.50@4180000.25@10@S@37.7@-122.4@id@@@@.jpg")
        evaluation = read_places(tmp_path, is_jpg)
        assert evaluation.coordinates == "utm"
        assert evaluation.query_positions.tolist() == [[551234.5, 4180000.25]]

    @pytest.mark.parametrize("name", ["plain.jpg", "@12@.jpg", "@east@12@.jpg", "@1@nan@.jpg"])
    def test_names_without_a_position_are_refused(self, tmp_path: Path, name: str) -> None:
        put(tmp_path / "queries" / name, tmp_path / "database" / "@1@2@.jpg")
        with pytest.raises(EvaluationError, match="does not say where it was taken"):
            read_places(tmp_path, is_jpg)

    def test_two_zones_cannot_be_compared(self, tmp_path: Path) -> None:
        put(tmp_path / "queries" / "@1@2@10@S@.jpg", tmp_path / "queries" / "@1@2@11@S@.jpg")
        put(tmp_path / "database" / "@1@2@10@S@.jpg")
        with pytest.raises(EvaluationError, match=r"lies in UTM zone 10S, .* in 11S"):
            read_places(tmp_path, is_jpg)
        (tmp_path / "queries" / "@1@2@10@S@.jpg").unlink()
        with pytest.raises(EvaluationError, match="in UTM zone 11S, its database in UTM zone 10S"):
            read_places(tmp_path, is_jpg)

    def test_metres_and_degrees_cannot_be_compared(self, tmp_path: Path) -> None:
        put(tmp_path / "database" / "@1@2@.jpg")
        (tmp_path / "queries.csv").write_text("path,latitude,longitude\nx.jpg,1,2\n")
        with pytest.raises(EvaluationError, match="positions in degrees, its database in UTM"):
            read_places(tmp_path, is_jpg)

    @pytest.mark.parametrize("place", ["91,0", "0,181", "north,0", "nan,0"])
    def test_positions_off_the_globe_are_refused(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "queries.csv").write_text(f"path,latitude,longitude\nx.jpg,{place}\n")
        with pytest.raises(EvaluationError, match=r"line 2: .* not a latitude and longitude"):
            read_places(tmp_path, is_jpg)

    def test_other_layouts_are_refused(self, tmp_path: Path) -> None:
        with pytest.raises(EvaluationError, match=r"no folder .*queries; it should hold queries"):
            read_places(tmp_path, is_jpg)
        (tmp_path / "queries").mkdir()
        with pytest.raises(EvaluationError, match="there are no queries in"):
            read_places(tmp_path, is_jpg)
