from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from glocal.errors import LearnError
from glocal.learn.collection import (
    Sample,
    check_labels,
    hold_out,
    read_labelled,
    read_unlabelled,
    without_twins,
)


def image(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (4, 4)).save(path)
    return path


def test_folders_are_labels(tmp_path):
    a, b = image(tmp_path / "cat" / "deep" / "1.png"), image(tmp_path / "dog" / "2.jpg")
    image(tmp_path / ".hidden" / "3.png")
    (tmp_path / "cat" / "notes.txt").write_text("no image")
    assert read_labelled(tmp_path) == [Sample(a, "cat"), Sample(b, "dog")]
    assert read_unlabelled(tmp_path, 3) == [Sample(a, source=3), Sample(b, source=3)]


def test_a_table_names_the_splits(tmp_path):
    table = tmp_path / "all.csv"
    table.write_text(
        "split,label,path\ntrain,a,x/1.png\nval,a,2.png\ntest,a,3.png\n,b,/abs/4.png\n"
    )
    assert read_labelled(table) == [
        Sample(tmp_path / "x/1.png", "a"),
        Sample(tmp_path / "2.png", "a", "validation"),
        Sample(Path("/abs/4.png"), "b"),
    ]
    table.write_text("path,label\n1.png,a\n2.png,\n")
    assert [s.label for s in read_labelled(table)] == ["a", None]
    assert [s.label for s in read_unlabelled(table, 0)] == [None, None]


def test_an_invalid_data_set_is_refused(tmp_path):
    with pytest.raises(LearnError, match=r"there is no .*nothing"):
        read_labelled(tmp_path / "nothing")
    with pytest.raises(LearnError, match="has no labels"):
        read_labelled(tmp_path)
    with pytest.raises(LearnError, match="no image below"):
        read_unlabelled(tmp_path, 0)
    image(tmp_path / "1.png")
    with pytest.raises(LearnError, match="use --objective instance"):
        read_labelled(tmp_path)
    table = tmp_path / "t.csv"
    table.write_text("file,label\n1.png,a\n")
    with pytest.raises(LearnError, match="no column path"):
        read_labelled(table)
    table.write_text("path,label\n")
    with pytest.raises(LearnError, match="names no image"):
        read_labelled(table)


def test_a_split_that_is_misspelt_is_said(tmp_path, caplog):
    table = tmp_path / "all.csv"
    table.write_text("path,label,split\n1.png,a,trian\n2.png,a,test\n3.png,b,vla\n")
    with pytest.raises(LearnError, match=r"column split says 'test', 'trian', 'vla'; .* train or"):
        read_labelled(table)
    table.write_text("path,label,split\n1.png,a,trian\n2.png,a,test\n3.png,b,train\n")
    assert [sample.label for sample in read_labelled(table)] == ["b"]
    assert "images of the split 'trian' are left out" in caplog.text
    caplog.clear()
    table.write_text("path,label,split\n2.png,a,test\n3.png,b,train\n")
    read_labelled(table)
    assert not caplog.text


def test_labels_with_too_few_images_are_reported():
    with pytest.raises(LearnError, match="only 'a'"):
        check_labels([Sample(Path("1"), "a"), Sample(Path("2"), "a")])
    with pytest.raises(LearnError, match="there is none"):
        check_labels([Sample(Path("1"))])
    pairs = [Sample(Path(f"{label}{n}"), label) for label in "ab" for n in range(2)]
    check_labels([*pairs, Sample(Path("9"))])
    alone = [Sample(Path("c"), "c"), Sample(Path("c2"), "c", "validation")]
    with pytest.raises(LearnError, match=r"1 of 3 labels have one image to learn from: c\."):
        check_labels([*pairs, *alone])


def test_some_of_each_label_are_held_out():
    counts = {"a": 5, "b": 6, "c": 40}
    samples = [Sample(Path(f"{label}{n}"), label) for label, m in counts.items() for n in range(m)]
    loose = [Sample(Path(f"loose{n}"), source=1) for n in range(50)]
    held = hold_out([*samples, *loose], seed=3)
    assert [s.path for s in held] == [s.path for s in [*samples, *loose]]
    assert Counter(s.label for s in held if s.split == "validation") == {"b": 2, "c": 4, None: 5}
    assert held == hold_out([*samples, *loose], seed=3)
    assert held != hold_out([*samples, *loose], seed=4)


def test_a_given_split_is_kept():
    samples = [Sample(Path("1"), "a"), Sample(Path("2"), "a", "validation")] + [
        Sample(Path(f"b{n}"), "b") for n in range(20)
    ]
    assert hold_out(samples, seed=0) == samples


def test_a_file_counts_once(tmp_path):
    path = image(tmp_path / "1.png")
    twin = tmp_path / "link.png"
    twin.symlink_to(path)
    assert without_twins([Sample(path, "a"), Sample(twin), Sample(path)]) == [Sample(path, "a")]
