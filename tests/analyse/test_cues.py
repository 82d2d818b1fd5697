from __future__ import annotations

import numpy as np
import pytest

from glocal.analyse import nearest_class, on_diagonal, study_cues
from glocal.errors import AnalysisError


def every_combination(classes=3, each=4):
    grid = np.stack(np.meshgrid(*[np.arange(classes)] * 3)).reshape(3, -1)
    rows = np.tile(grid, each)
    return dict(zip(("colour", "shape", "size"), rows, strict=True))


@pytest.mark.parametrize("cue", ["colour", "shape", "size"])
def test_a_model_that_goes_by_a_cue_is_found_out(cue):
    cues = every_combination()
    found = study_cues(cues[cue], cues)
    assert found.chosen == cue
    assert found.accuracy[cue] == 1
    assert found.chance == pytest.approx(1 / 3)
    assert found.images == 4 * 24
    # Of 24 combinations that disagree 6 have the value of one other cue as well.
    others = [found.accuracy[name] for name in cues if name != cue]
    assert others == pytest.approx([0.25, 0.25])


def test_a_model_that_goes_by_none_is_near_chance():
    cues = every_combination(each=300)
    random = np.random.default_rng(0)
    found = study_cues(random.integers(0, 3, 27 * 300), cues)
    assert list(found.accuracy.values()) == pytest.approx([1 / 3] * 3, abs=0.02)


def test_combinations_count_alike_however_many_images_they_have():
    colour = np.array([0] * 9 + [1])
    shape = np.array([1] * 9 + [0])
    predicted = np.array([0] * 10)  # by colour in nine images, by shape in one
    found = study_cues(predicted, {"colour": colour, "shape": shape})
    assert found.accuracy == {"colour": 0.5, "shape": 0.5}


def test_the_diagonal_is_where_all_cues_agree():
    cues = {"a": [0, 1, 2, 0], "b": [0, 1, 1, 0], "c": [0, 0, 2, 0]}
    assert on_diagonal(cues).tolist() == [True, False, False, True]
    assert study_cues([1, 1, 2, 0], cues).images == 2


def test_the_nearest_class_is_that_of_the_nearest_mean_direction():
    random = np.random.default_rng(1)
    rows, labels = random.normal(size=(30, 4)), random.integers(3, 6, 30)
    asked = random.normal(size=(9, 4))
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    wanted = []
    for vector in asked:
        cosines = {}
        for label in np.unique(labels):
            mean = unit[labels == label].mean(axis=0)
            cosines[label] = vector @ mean / np.linalg.norm(mean)
        wanted.append(max(cosines, key=lambda label: cosines[label]))
    assert nearest_class(rows, labels, asked).tolist() == wanted


def test_what_does_not_fit_is_refused():
    for wrong in ({"a": [0, 1]}, {"a": [0], "b": [0, 1]}, {"a": [0.5], "b": [1]}, {}):
        with pytest.raises(AnalysisError, match="two or more, each an integer"):
            on_diagonal(wrong)
    cues = {"a": [0, 1], "b": [0, 1]}
    with pytest.raises(AnalysisError, match="cues that agree"):
        study_cues([0, 1], cues)
    for wrong in ([0], [0.0, 1.0]):
        with pytest.raises(AnalysisError, match="an integer for each"):
            study_cues(wrong, cues)
    rows = np.ones((2, 3))
    for vectors, labels, others in ((rows, [1], rows), (rows, [1, 2], np.ones((2, 2)))):
        with pytest.raises(AnalysisError, match="do not fit"):
            nearest_class(vectors, labels, others)
    with pytest.raises(AnalysisError, match="not finite"):
        nearest_class(rows * np.nan, [1, 2], rows)
