"""Vertices of fixed polytopes are exact, and the same for ever."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.objectives.fixed_polytope import FixedPolytope  # noqa: E402
from glocal.learn.polytopes import vertex_count, vertices  # noqa: E402


@pytest.mark.parametrize("dim", [1, 2, 3, 7, 128])
def test_any_two_vertices_of_a_simplex_have_the_cosine_of_minus_one_to_d(dim):
    found = vertices("simplex", dim).double()
    assert found.shape == (dim + 1, dim)
    expected = torch.full((dim + 1, dim + 1), -1 / dim).double()
    expected.fill_diagonal_(1)
    assert torch.allclose(found @ found.T, expected, atol=1e-6)
    assert found.sum(dim=0).abs().max() < 1e-5


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_an_orthoplex_has_both_ends_of_each_axis(dim):
    found = vertices("orthoplex", dim)
    assert len(found) == 2 * dim
    assert {tuple(row) for row in found.tolist()} == {
        tuple(sign * float(axis == own) for axis in range(dim))
        for own in range(dim)
        for sign in (1, -1)
    }


@pytest.mark.parametrize("dim", [1, 2, 3, 6])
def test_a_cube_has_all_corners(dim):
    found = vertices("cube", dim)
    assert len({tuple(row) for row in found.sign().tolist()}) == 2**dim
    assert torch.allclose(found.abs(), torch.full_like(found, dim**-0.5))


def test_fewer_vertices_are_the_first_ones():
    for polytope in ("simplex", "orthoplex", "cube"):
        assert torch.equal(vertices(polytope, 5, 4), vertices(polytope, 5)[:4])
    assert vertices("cube", 100, 3).isfinite().all()


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (("simplex", 0), "at least 1 dimension"),
        (("sphere", 3), "no polytope 'sphere'"),
        (("simplex", 3, 5), "has 4 vertices, not 5"),
        (("cube", 40), "too many"),
    ],
)
def test_what_does_not_exist_is_refused(given, text):
    with pytest.raises(LearnError, match=text):
        vertices(*given)


def test_the_loss_is_cross_entropy_over_all_vertices_with_those_of_no_class():
    objective = FixedPolytope(dim=4, classes=2, scale=3.0)
    vectors, labels = torch.randn(5, 4), torch.tensor([0, 1, 1, 0, 1])
    expected = 0.0
    corners = vertices("simplex", 4)
    assert vertex_count("simplex", 4) == len(corners) == 5
    for vector, label in zip(vectors, labels, strict=True):
        unit = vector / vector.norm()
        powers = [torch.exp(3 * unit @ corner) for corner in corners]
        expected += -torch.log(powers[label] / sum(powers)) / 5
    assert torch.allclose(objective(vectors, labels), expected, atol=1e-5)


def test_too_many_classes_are_refused_and_another_polytope_takes_them():
    with pytest.raises(LearnError, match="too few for 6 classes"):
        FixedPolytope(dim=4, classes=6)
    assert FixedPolytope(dim=4, classes=6, polytope="orthoplex").weights.shape == (8, 4)
