"""Ground truth files: the published pickles' structure, and glocal's own JSON."""

from __future__ import annotations

import json
import os
import pickle

import numpy as np
import pytest

from glocal.errors import EvaluationError
from glocal.evaluate import GroundTruth, ground_truth, read_ground_truth, write_ground_truth

PUBLISHED = {
    "imlist": ["all_souls_000000", "all_souls_000001", "ashmolean_000002", "bodleian_000003"],
    "qimlist": ["all_souls_000013", "ashmolean_000058"],
    "gnd": [
        {"easy": [1], "hard": [0, 3], "junk": [2], "bbx": [136.5, 34.1, 648.5, 955.7]},
        {"easy": [], "hard": [2], "junk": [], "bbx": [0, 1, 2, 3]},
    ],
}


def as_arrays(published):
    gnd = [
        {
            key: np.array(value, dtype=float if key == "bbx" else np.int64)
            for key, value in entry.items()
        }
        for entry in published["gnd"]
    ]
    return {**published, "gnd": gnd}


def as_matlab(published):
    """The structure of the published .mat file: rows of floats, arrays of names."""
    gnd = [
        {key: np.array([value], dtype=np.float64) for key, value in entry.items()}
        for entry in published["gnd"]
    ]
    return {
        "imlist": np.array(published["imlist"], dtype=object),
        "qimlist": np.array(published["qimlist"]),
        "gnd": np.array(gnd, dtype=object),
    }


def check(truth):
    assert truth.query_names == tuple(PUBLISHED["qimlist"])
    assert truth.database_names == tuple(PUBLISHED["imlist"])
    for kind in ("easy", "hard", "junk"):
        lists = getattr(truth, kind)
        assert [indices.tolist() for indices in lists] == [e[kind] for e in PUBLISHED["gnd"]]
        assert all(indices.dtype == np.int64 for indices in lists)
    assert truth.boxes.tolist() == [entry["bbx"] for entry in PUBLISHED["gnd"]]


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", [dict, as_arrays, as_matlab])
def test_the_published_structure_is_read(form, protocol, tmp_path):
    path = tmp_path / "gnd_roxford5k.pkl"
    path.write_bytes(pickle.dumps(form(PUBLISHED), protocol=protocol))
    check(read_ground_truth(path))


def test_json_round_trip(tmp_path):
    path = tmp_path / "truth.json"
    pickled = tmp_path / "truth.pkl"
    pickled.write_bytes(pickle.dumps(PUBLISHED))
    write_ground_truth(path, read_ground_truth(pickled))
    check(read_ground_truth(str(path)))


def test_a_query_may_be_the_whole_image(tmp_path):
    path = tmp_path / "truth.json"
    none = np.array([], dtype=np.int64)
    truth = GroundTruth(("é",), ("a",), (none,), (none,), (none,), np.full((1, 4), np.nan))
    write_ground_truth(path, truth)
    back = read_ground_truth(path)
    assert back.query_names == ("é",)
    assert np.isnan(back.boxes).all()
    assert json.loads(path.read_text(encoding="utf-8"))["queries"][0]["box"] is None


class Attack:
    def __init__(self, path):
        self.path = str(path)

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_a_malicious_pickle_is_refused_without_running(tmp_path):
    proof = tmp_path / "proof"
    path = tmp_path / "gnd_roxford5k.pkl"
    path.write_bytes(pickle.dumps({**PUBLISHED, "more": Attack(proof)}))
    with pytest.raises(EvaluationError, match=r"gnd_roxford5k.*mkdir.*nothing in it was run"):
        read_ground_truth(path)
    assert not proof.exists()


def with_entry(**changes):
    first = {**PUBLISHED["gnd"][0], **changes}
    return {**PUBLISHED, "gnd": [first, PUBLISHED["gnd"][1]]}


BOMB: list = []
for _ in range(60):
    BOMB = [BOMB, BOMB]


@pytest.mark.parametrize(
    ("value", "says"),
    [
        ([1, 2], "holds list"),
        ({"imlist": [], "gnd": []}, "qimlist"),
        ({**PUBLISHED, "qimlist": ["only one"]}, "one entry for each"),
        ({**PUBLISHED, "imlist": [1, 2, 3, 4]}, "database names"),
        ({**PUBLISHED, "imlist": "abcd"}, "database names"),
        ({**PUBLISHED, "gnd": [1, 2]}, "not a dict"),
        ({**PUBLISHED, "gnd": [{"ok": [1], "junk": []}] * 2}, "older protocol"),
        (with_entry(easy=[4]), "include number 4"),
        (with_entry(junk=[-1]), "include number -1"),
        (with_entry(hard=[0.5]), "0.5"),
        (with_entry(hard=["0"]), "not a database index"),
        (with_entry(hard=[True]), "not a database index"),
        (with_entry(hard=[2**80]), "not a database index"),
        (with_entry(hard=[float("nan")]), "not a database index"),
        (with_entry(hard=np.array([[0, 1], [2, 3]])), "not a list of database indices"),
        (with_entry(hard=None), "not a list of database indices"),
        (with_entry(hard=BOMB), "not a database index"),
        (with_entry(bbx=[1, 2, 3]), "four numbers"),
        (with_entry(bbx=BOMB), "four numbers"),
        (with_entry(bbx=[1, 2, 3, float("nan")]), "finite"),
    ],
)
def test_an_invalid_ground_truth_is_refused(value, says, tmp_path):
    path = tmp_path / "truth.pkl"
    path.write_bytes(pickle.dumps(value))
    with pytest.raises(EvaluationError, match=says):
        read_ground_truth(path)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not valid JSON"),
        ("{" * 100_000, "not valid JSON"),
        ("{}", "format None"),
        ('{"format": "glocal-ground-truth", "version": 2}', "version 2"),
        ('{"format": "glocal-ground-truth", "version": 1}', "list of queries"),
        ('{"format": "glocal-ground-truth", "version": 1, "queries": [{}]}', "query names"),
        ('{"format": "glocal-ground-truth", "version": 1, "queries": []}', "database names"),
    ],
)
def test_an_invalid_json_is_refused(text, says, tmp_path):
    path = tmp_path / "truth.json"
    path.write_text(text)
    with pytest.raises(EvaluationError, match=says):
        read_ground_truth(path)


def test_missing_and_large_files_are_refused(tmp_path, monkeypatch):
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_ground_truth(tmp_path / "none.pkl")
    path = tmp_path / "large.pkl"
    path.write_bytes(pickle.dumps(PUBLISHED))
    monkeypatch.setattr(ground_truth, "MAX_BYTES", 20)
    with pytest.raises(EvaluationError, match="too many for a ground truth"):
        read_ground_truth(path)


def test_lists_and_boxes_must_match_the_queries():
    none = np.array([], dtype=np.int64)
    with pytest.raises(EvaluationError, match="2 queries but 1 lists of hard"):
        GroundTruth(("a", "b"), (), (none, none), (none,), (none, none), np.zeros((2, 4)))
    with pytest.raises(EvaluationError, match="boxes have shape"):
        GroundTruth(("a",), (), (none,), (none,), (none,), np.zeros((2, 4)))
