"""The losses of image-text matching in two branches, against loops over pairs."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.boosting import ranking_loss  # noqa: E402
from glocal.registry import part  # noqa: E402

COUNT = 6
LABELS = torch.tensor([0, 1, 2, 0, 3, 4])
SAME = LABELS[:, None] == LABELS
BOTH = "relative", "absolute"


def scores(seed: int) -> torch.Tensor:
    return torch.rand(COUNT, COUNT, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def boosting(**options: object):
    return part("query", "dbl").load()(**options)


def hardest(cost) -> float:
    """Over each pair, the worst of its negatives in its row and in its column, on average."""
    total = 0.0
    for i in range(COUNT):
        others = [j for j in range(COUNT) if not SAME[i, j]]
        total += max(0.0, *(float(cost(i, i, j, i)) for j in others))
        total += max(0.0, *(float(cost(i, j, i, i)) for j in others))
    return total / COUNT


def test_the_anchor_branch_learns_by_triplets() -> None:
    s = scores(0)
    expected = hardest(lambda i, row, column, _: 0.2 + s[row, column] - s[i, i])
    assert ranking_loss(s, SAME).item() == pytest.approx(expected, rel=1e-5)


def test_relative_margins_are_what_the_anchor_branch_has_reached() -> None:
    s, a = scores(0), scores(1)

    def cost(i, row, column, _):
        return 0.3 + (a[i, i] - a[row, column]) - (s[i, i] - s[row, column])

    found = boosting(margin=0.2, beta=1.5)(s, a, SAME)
    assert found.item() == pytest.approx(hardest(cost), rel=1e-5)


def test_absolute_margins_part_pairs_and_negatives() -> None:
    s, a = scores(0), scores(1)
    nearer = (0.05 + a.diagonal() - s.diagonal()).clamp(min=0).mean().item()
    expected = 2 * nearer + hardest(
        lambda i, row, column, _: 0.15 + s[row, column] - a[row, column]
    )
    found = boosting(margins="absolute", gamma=0.25)(s, a, SAME)
    assert found.item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("margins", BOTH)
def test_only_the_target_branch_learns_and_gets_ahead(margins: str) -> None:
    anchor = torch.where(SAME, 0.3, 0.2).requires_grad_()
    target = torch.where(SAME, 0.3, 0.2).requires_grad_()
    loss = boosting(margins=margins)
    first = loss(target, anchor, SAME)
    for _ in range(400):
        found = loss(target, anchor, SAME)
        target.grad = None
        found.backward()
        with torch.no_grad():
            target -= 0.1 * target.grad
    assert anchor.grad is None
    assert found.item() < 0.2 * first.item()
    ahead = target.diagonal().min() - target[~SAME].max()
    assert ahead > 0.25  # the anchor branch is ahead by .1, the margin is .2


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(LearnError, match="relative or absolute"):
        boosting(margins="wide")
    with pytest.raises(LearnError, match=r"scores \(b, b\)"):
        ranking_loss(scores(0)[:3], SAME)
    with pytest.raises(LearnError, match="the diagonal has to be true"):
        ranking_loss(scores(0), ~SAME)
