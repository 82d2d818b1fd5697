"""Google Landmarks v2 against loops, by hand, and its files."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import EvaluationError
from glocal.evaluate import (
    LandmarkSolution,
    evaluate_landmark_recognition,
    evaluate_landmark_retrieval,
    read_recognition_predictions,
    read_recognition_solution,
    read_retrieval_predictions,
    read_retrieval_solution,
)

images = st.sampled_from([f"i{n}" for n in range(130)])
tests = st.sampled_from([f"t{n}" for n in range(6)])


def slow_map_100(predictions, solution):
    total = 0.0
    for query, right in solution.items():
        summed, found = 0.0, []
        for position, image in enumerate(predictions.get(query, [])[:100]):
            if image in right and image not in found:
                found.append(image)
                summed += len(found) / (position + 1)
        total += summed / min(len(right), 100)
    return total / len(solution) if solution else math.nan


@settings(deadline=None)
@given(
    st.dictionaries(tests, st.lists(images, max_size=130)),
    st.dictionaries(tests, st.sets(images, min_size=1, max_size=120), min_size=6),
)
def test_retrieval_equals_the_loop(predictions, solution):
    names = sorted(solution)
    public = {name: frozenset(solution[name]) for name in names[:3]}
    private = {name: frozenset(solution[name]) for name in names[3:5]}
    result = evaluate_landmark_retrieval(
        predictions, LandmarkSolution(public, private, frozenset(names[5:]))
    )
    assert result["public"] == pytest.approx(slow_map_100(predictions, public))
    assert result["private"] == pytest.approx(slow_map_100(predictions, private))


def slow_gap(predictions, solution):
    """Insert the predictions one by one in the challenge's order and sum precisions."""
    kept = {image: answer for image, answer in predictions.items() if image in solution}
    remaining = set(kept)
    summed, right, seen = 0.0, 0, 0
    while remaining:
        best = min(
            remaining,
            key=lambda image: (-kept[image][1], image, kept[image][0]),
        )
        remaining.remove(best)
        seen += 1
        if kept[best][0] in solution[best]:
            right += 1
            summed += right / seen
    with_landmark = sum(bool(answers) for answers in solution.values())
    return summed / with_landmark if with_landmark else math.nan


@settings(deadline=None)
@given(
    st.dictionaries(tests, st.tuples(st.integers(0, 3), st.sampled_from([0.1, 0.5, 0.5, 2.0]))),
    st.dictionaries(tests, st.sets(st.integers(0, 3), max_size=2), min_size=6),
)
def test_recognition_equals_the_loop(predictions, solution):
    names = sorted(solution)
    public = {name: frozenset(solution[name]) for name in names[:3]}
    private = {name: frozenset(solution[name]) for name in names[3:5]}
    result = evaluate_landmark_recognition(
        predictions, LandmarkSolution(public, private, frozenset(names[5:]))
    )
    assert result["public"] == pytest.approx(slow_gap(predictions, public), nan_ok=True)
    assert result["private"] == pytest.approx(slow_gap(predictions, private), nan_ok=True)


def test_retrieval_by_hand():
    solution = LandmarkSolution(
        {"a": frozenset({"x", "y"}), "b": frozenset({"z"})}, {}, frozenset({"c"})
    )
    # a: x at rank 1; the repeated x at 2 takes the rank but counts no more; y at 4: (1/1 + 2/4)/2
    # b has no prediction and scores 0; c is ignored
    result = evaluate_landmark_retrieval({"a": ["x", "x", "w", "y"], "c": ["q"]}, solution)
    assert result["public"] == pytest.approx(0.75 / 2)
    assert math.isnan(result["private"])


def test_retrieval_counts_the_first_hundred_answers():
    # 120 right answers, all first hundred right: 100 / min(120, 100) = 1
    right = frozenset(f"r{n}" for n in range(120))
    solution = LandmarkSolution({"a": right}, {}, frozenset())
    answers = sorted(right)[:100]
    assert evaluate_landmark_retrieval({"a": answers}, solution)["public"] == pytest.approx(1.0)
    wrong_first = ["w"] + [f"w{n}" for n in range(99)] + answers
    assert evaluate_landmark_retrieval({"a": wrong_first}, solution)["public"] == 0.0


def test_recognition_by_hand():
    solution = LandmarkSolution(
        {
            "a": frozenset({1}),
            "b": frozenset({2, 3}),
            "distractor": frozenset(),
            "missed": frozenset({4}),
        },
        {},
        frozenset({"ignored"}),
    )
    predictions = {"a": (1, 0.9), "distractor": (1, 0.8), "b": (3, 0.7), "ignored": (5, 1.0)}
    # in order: a right 1/1, the distractor wrong, b right 2/3; three images show a landmark
    result = evaluate_landmark_recognition(predictions, solution)
    assert result["public"] == pytest.approx((1 + 2 / 3) / 3)


def test_unknown_images_and_nan_are_refused():
    retrieval = LandmarkSolution({"a": frozenset({"x"})}, {}, frozenset())
    with pytest.raises(EvaluationError, match="'b', which is not in the solution"):
        evaluate_landmark_retrieval({"b": ["x"]}, retrieval)
    with pytest.raises(EvaluationError, match="no right answer"):
        evaluate_landmark_retrieval({}, LandmarkSolution({"a": frozenset()}, {}, frozenset()))
    recognition = LandmarkSolution({"a": frozenset({1})}, {}, frozenset())
    with pytest.raises(EvaluationError, match="'b', which is not in the solution"):
        evaluate_landmark_recognition({"b": (1, 0.5)}, recognition)
    with pytest.raises(EvaluationError, match="nan"):
        evaluate_landmark_recognition({"a": (1, math.nan)}, recognition)


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return path


def test_the_retrieval_solution_is_read(tmp_path):
    # one query with more index images than a field of the csv module may hold
    many = " ".join(f"{n:016x}" for n in range(20_000))
    path = write(
        tmp_path / "retrieval_solution_v2.1.csv",
        "id,images,Usage\n"
        "000fdd086798b0b6,0a0 0b1,Public\n"
        "0001\u002d,None,Private\n"
        "00a1,None,Ignored\n"
        "00a2,0c3,Ignored\n"
        "\n"
        f"00a3,{many},Private\r\n",
    )
    solution = read_retrieval_solution(path)
    assert solution.public == {"000fdd086798b0b6": {"0a0", "0b1"}}
    assert set(solution.private) == {"00a3"}
    assert len(solution.private["00a3"]) == 20_000
    assert solution.ignored == {"0001-", "00a1", "00a2"}


def test_the_recognition_solution_is_read(tmp_path):
    path = write(
        tmp_path / "recognition_solution_v2.1.csv",
        "\ufeffid,landmarks,Usage\nt1,0 12,Public\nt2,,Public\nt3,100,Ignored\nt4,1,Private\n",
    )
    solution = read_recognition_solution(path)
    assert solution.public == {"t1": {0, 12}, "t2": frozenset()}
    assert solution.private == {"t4": {1}}
    assert solution.ignored == {"t3"}


def test_predictions_are_read(tmp_path):
    path = write(tmp_path / "p.csv", "id,images\nt1,i1 i2 i1 \nt2,\n")
    assert read_retrieval_predictions(path) == {"t1": ["i1", "i2", "i1"], "t2": []}
    path = write(tmp_path / "p.csv", "id,landmarks\nt1,7 0.25\nt2,\nt3,8 1e-3 \n")
    assert read_recognition_predictions(path) == {"t1": (7, 0.25), "t3": (8, 0.001)}


@pytest.mark.parametrize(
    ("reader", "text", "says"),
    [
        (read_retrieval_solution, "id,landmarks,Usage\n", "first line should be"),
        (read_retrieval_solution, "", "first line should be"),
        (read_retrieval_solution, "id,images,Usage\na,b\n", "line 2: 2 fields"),
        (read_retrieval_solution, "id,images,Usage\na,b,Secret\n", "line 2: Usage is 'Secret'"),
        (
            read_retrieval_solution,
            "id,images,Usage\na,b,Public\na,None,Private\n",
            "line 3: image 'a' is listed twice",
        ),
        (read_recognition_solution, "id,landmarks,Usage\na,-1,Public\n", "not a landmark number"),
        (read_recognition_solution, "id,landmarks,Usage\na,x,Public\n", "not a landmark number"),
        (read_recognition_solution, "id,landmarks,Usage\na,1,public\n", "Usage is 'public'"),
        (
            read_recognition_solution,
            "id,landmarks,Usage\na,1,Ignored\na,1,Public\n",
            "is listed twice",
        ),
        (read_retrieval_predictions, "id,images\na,b\na,c\n", "is listed twice"),
        (read_recognition_predictions, "id,landmarks\na,1\n", "not one landmark and its score"),
        (read_recognition_predictions, "id,landmarks\na,1 high\n", "'high' is not a score"),
        (read_recognition_predictions, "id,landmarks\na,one 0.5\n", "'one' is not a landmark"),
        (read_recognition_predictions, "id,landmarks\na,1 1\na,,\n", "line 3: 3 fields"),
    ],
)
def test_files_of_another_form_are_refused(reader, text, says, tmp_path):
    path = write(tmp_path / "table.csv", text)
    with pytest.raises(EvaluationError, match=says):
        reader(path)


def test_files_that_cannot_be_read_are_refused(tmp_path):
    with pytest.raises(EvaluationError, match="cannot be read"):
        read_retrieval_solution(tmp_path / "none.csv")
    path = tmp_path / "binary.csv"
    path.write_bytes(b"id,images\n\xff\xfe,a\n")
    with pytest.raises(EvaluationError, match="not UTF-8"):
        read_retrieval_predictions(path)
