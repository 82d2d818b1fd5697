from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402
from torch.nn import functional  # noqa: E402

from glocal.learn.heads.cfcd import Cfcd, hard_tuples, match_cells  # noqa: E402

LEVELS = Tiny().levels


def rows(*shape):
    return functional.normalize(torch.randn(*shape), dim=-1)


def slow_matches(anchor, positive, attention, ratio):
    def distance(i, j):
        return float((anchor[i] - positive[j]).norm())

    prominent = sorted(range(len(positive)), key=lambda j: -float(attention[j]))
    prominent = prominent[: max(1, len(positive) // 2)]
    found = []
    for j in range(len(positive)):
        order = sorted(range(len(anchor)), key=lambda i: distance(i, j))
        i = order[0]
        mutual = min(range(len(positive)), key=lambda other: distance(i, other)) == j
        clear = len(order) == 1 or distance(i, j) <= ratio * distance(order[1], j)
        if mutual and clear and j in prominent:
            found.append((i, j))
    return found


@pytest.mark.parametrize("ratio", [0.8, 0.9, 1.0])
@pytest.mark.parametrize("sizes", [(12, 9), (1, 5), (6, 1)])
def test_cell_matches_equal_a_slow_loop(sizes, ratio):
    anchor = rows(sizes[0], 4)
    positive = functional.normalize(
        rows(sizes[1], 4) * 0.3 + anchor[torch.arange(sizes[1]) % sizes[0]], dim=1
    )
    attention = torch.rand(sizes[1])
    ours, theirs = match_cells(anchor, positive, attention, ratio)
    assert list(zip(ours.tolist(), theirs.tolist(), strict=True)) == slow_matches(
        anchor, positive, attention, ratio
    )


def test_an_ambiguous_cell_fails_the_ratio_test():
    anchor = functional.normalize(torch.tensor([[1.0, 0, 0], [1, 0.01, 0], [0, 1, 0]]), dim=1)
    positive = functional.normalize(torch.tensor([[1.0, 0, 0.5], [0, 1, 0.2]]), dim=1)
    attention = torch.ones(2)
    found = [match_cells(anchor, positive[[j]], attention[:1], 0.9) for j in range(2)]
    assert [len(theirs) for _, theirs in found] == [0, 1]
    assert found[1][0].tolist() == [2]
    assert len(match_cells(anchor, positive[[0]], attention[:1], 1.0)[0]) == 1


def test_tuples_have_the_hardest_negatives():
    vectors, labels = rows(9, 5), torch.tensor([0, 1, 0, 2, 1, 1, 3, 0, 2])
    found = {anchor: (partner, list(n)) for anchor, partner, n in hard_tuples(vectors, labels, 3)}
    assert set(found) == {0, 1, 2, 3, 4, 5, 7, 8}, "label 3 has one image only"
    assert [found[i][0] for i in (0, 2, 7)] == [2, 7, 0]
    for anchor, (_, negatives) in found.items():
        others = [i for i in range(9) if labels[i] != labels[anchor]]
        others.sort(key=lambda i: -float(vectors[anchor] @ vectors[i]))
        assert negatives == others[:3]
    assert hard_tuples(vectors, torch.zeros(9), 3) == []
    assert hard_tuples(vectors, torch.arange(9), 3) == []
    assert len(hard_tuples(vectors, labels, 100)[0][2]) == 6


@torch.no_grad()
def test_the_fine_loss_equals_a_slow_loop():
    head = Cfcd(LEVELS, dim=8, coarse=0.0, negatives=2).train()
    base = random_maps(LEVELS, 3, 96, 96)
    # Two views of each image, so that cells do match.
    maps = [torch.cat([m, m + 0.2 * torch.rand_like(m)]) for m in base]
    labels = torch.tensor([0, 1, 2, 0, 1, 2])
    output = head(maps)
    cells = [
        [functional.normalize(maps[2][b, :, r, c], dim=0) for r in range(3) for c in range(3)]
        for b in range(6)
    ]
    total, anchors, matched = 0.0, 0, 0
    for anchor, positive, negatives in hard_tuples(output.vector, labels, 2):
        anchors += 1
        attention = maps[2][positive].abs().sum(dim=0).flatten()
        pairs = slow_matches(
            torch.stack(cells[anchor]), torch.stack(cells[positive]), attention, head.ratio
        )
        matched += len(pairs)
        for i, j in pairs:
            a, p = cells[anchor][i], cells[positive][j]
            for negative in negatives:
                n = min(cells[int(negative)], key=lambda cell: float((cell - a).norm()))
                near, far = float((a - p).norm() ** 2), float((a - n).norm() ** 2)
                total += max(0.0, near - far + head.margin)
    assert matched > 3
    assert anchors == 6
    expected = head.weight * total / anchors
    assert float(head.loss(output, labels)) == pytest.approx(expected, rel=1e-4)
    assert expected > 0


def test_the_fine_stage_comes_second_and_trains_the_feature_map():
    head = Cfcd(LEVELS, dim=8, margin=1.5).train()
    base = random_maps(LEVELS, 2, 96, 96)
    maps = [torch.cat([m, m + 0.2 * torch.rand_like(m)]).requires_grad_() for m in base]
    labels = torch.tensor([0, 1, 0, 1])
    head.progress(0.49)
    assert head.loss(head(maps), labels).item() == 0
    head.progress(0.5)
    head.loss(head(maps), labels).backward()
    assert maps[2].grad.any()
    assert head.reduce.weight.grad is None, "local descriptors do not pass the vector's layers"


def test_the_vector_is_pooled_reduced_and_normalised():
    head = Cfcd(LEVELS, dim=8).eval()
    head.norm.running_mean.uniform_()
    maps = random_maps(LEVELS, 1)
    pooled = maps[2][0].clamp(min=1e-6).pow(3).mean(dim=(1, 2)).pow(1 / 3)
    reduced = head.reduce(pooled)
    expected = (reduced - head.norm.running_mean) / (head.norm.running_var + 1e-5).sqrt()
    assert torch.allclose(head(maps).vector[0], expected / expected.norm(), atol=1e-5)


def test_nothing_is_kept_outside_of_training():
    assert Cfcd(LEVELS, dim=8).eval()(random_maps(LEVELS)).kept == {}
