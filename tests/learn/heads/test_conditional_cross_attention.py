"""The head whose condition chooses among several embedding spaces."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402
from torch.nn import functional  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.heads.conditional_cross_attention import ConditionalCrossAttention  # noqa: E402

LEVELS = Tiny().levels


def head(**options: int) -> ConditionalCrossAttention:
    torch.manual_seed(0)
    return ConditionalCrossAttention(LEVELS, dim=8, width=16, conditions=3, **options).eval()


def test_the_vector_is_what_the_formula_says() -> None:
    made, maps = head(heads=2), random_maps(LEVELS, 2)
    condition = torch.tensor([2, 0])
    vectors = made(maps, condition).vector
    for image in range(2):
        cells = made.before(made.cells(maps[-1][image].flatten(1).T))
        query = made.query(made.embedding[condition[image]])
        keys, values = made.key(cells), made.value(cells)
        seen = []
        for part in (slice(0, 8), slice(8, 16)):
            weights = torch.softmax(keys[:, part] @ query[part] / 8**0.5, dim=0)
            seen.append(weights @ values[:, part])
        seen = made.embedding[condition[image]] + torch.cat(seen)
        expected = functional.normalize(made.project(seen + made.feed(seen)), dim=0)
        assert torch.allclose(vectors[image], expected, atol=1e-5)


def test_conditions_have_spaces_of_their_own_and_none_is_their_mean() -> None:
    made, maps = head(), random_maps(LEVELS, 2)
    one, other = (made(maps, torch.full((2,), n)).vector for n in (0, 1))
    assert not torch.allclose(one, other, atol=1e-3)
    with torch.no_grad():
        made.embedding[:] = made.embedding.mean(dim=0)
    assert torch.allclose(made(maps).vector, made(maps, torch.tensor([1, 2])).vector, atol=1e-6)


def test_a_width_that_the_heads_do_not_divide_is_refused() -> None:
    with pytest.raises(LearnError, match="a width that the heads divide"):
        head(heads=5)
