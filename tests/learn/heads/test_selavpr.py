from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402
from torch.nn import functional  # noqa: E402

from glocal.learn.heads.gem import generalised_mean  # noqa: E402
from glocal.learn.heads.selavpr import SelaVpr, match_similarity  # noqa: E402

LEVELS = Tiny().levels


def slow_match_similarity(one, other):
    found = []
    for i in range(one.shape[1]):
        sims = [float(one[:, i] @ other[:, j]) for j in range(other.shape[1])]
        j = sims.index(max(sims))
        back = [float(one[:, k] @ other[:, j]) for k in range(one.shape[1])]
        if back.index(max(back)) == i:
            found.append(sims[j])
    return sum(found) / len(found)


def test_mutual_nearest_neighbours_are_averaged():
    random = torch.Generator().manual_seed(0)
    for count in (1, 4, 9):
        one, other = (
            functional.normalize(torch.randn(5, n, generator=random), dim=0) for n in (count, 7)
        )
        wanted = slow_match_similarity(one, other)
        assert float(match_similarity(one, other)) == pytest.approx(wanted, abs=1e-6)


def test_it_starts_as_the_plain_generalised_mean():
    maps = random_maps(LEVELS)
    head = SelaVpr(LEVELS, dim=None).eval()
    plain = functional.normalize(generalised_mean(maps[-1], 3.0), dim=1)
    assert head.dim == LEVELS[-1].width
    assert torch.allclose(head(maps).vector, plain, atol=1e-6)


def test_the_loss_compares_the_nearest_of_the_label_with_the_nearest_other():
    torch.manual_seed(2)
    head = SelaVpr(LEVELS, dim=8, local_weight=2.0).train()
    output = head(random_maps(LEVELS, 5))
    labels = torch.tensor([0, 0, 1, 1, 2])  # the last has no other of its label
    cells, vectors = output.kept["cells"].detach(), output.vector.detach()
    wanted = []
    for i in range(4):
        near = {j: float(vectors[i] @ vectors[j]) for j in range(5) if j != i}
        own = max((j for j in near if labels[j] == labels[i]), key=near.get)
        other = max((j for j in near if labels[j] != labels[i]), key=near.get)
        wanted.append(
            slow_match_similarity(cells[i], cells[other])
            - slow_match_similarity(cells[i], cells[own])
        )
    assert head.loss(output, labels).item() == pytest.approx(2 * sum(wanted) / 4, abs=1e-5)


def test_the_backbone_stays_frozen():
    maps = [each.requires_grad_() for each in random_maps(LEVELS, 4)]
    head = SelaVpr(LEVELS, dim=8).train()
    output = head(maps)
    (output.vector.sum() + head.loss(output, torch.tensor([0, 0, 1, 1]))).backward()
    assert all(each.grad is None for each in maps)
