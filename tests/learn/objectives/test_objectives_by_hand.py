"""Every objective against a slow loop over its formula."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
pytest.importorskip("pytorch_metric_learning", reason="some objectives need it")

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.model import build_objective  # noqa: E402
from glocal.learn.objectives.adaptive import AdaptiveSoftmax  # noqa: E402
from glocal.learn.objectives.instance import InstanceDiscrimination, share_content  # noqa: E402

DIM, CLASSES = 6, 4
LABELS = [0, 1, 2, 3, 0, 1, 2, 0]


@pytest.fixture
def vectors():
    return torch.randn(8, DIM)


def unit(rows):
    rows = rows.detach().double().numpy()
    return rows / np.linalg.norm(rows, axis=-1, keepdims=True)


def value(objective, vectors):
    with torch.no_grad():
        return objective(vectors, torch.tensor(LABELS)).item()


def class_cosines(objective, vectors, *, turned):
    weights = next(iter(objective.parameters()))
    return unit(vectors) @ unit(weights.T if turned else weights).T


def softmax_cost(logits, label):
    most = max(logits)
    return math.log(sum(math.exp(x - most) for x in logits)) + most - logits[label]


def test_arcface(vectors):
    objective = build_objective("arcface", dim=DIM, classes=CLASSES, margin=0.3, scale=20)
    cosines, costs = class_cosines(objective, vectors, turned=True), []
    for row, label in zip(cosines, LABELS, strict=True):
        logits = [20 * c for c in row]
        logits[label] = 20 * math.cos(math.acos(row[label]) + 0.3)
        costs.append(softmax_cost(logits, label))
    assert value(objective, vectors) == pytest.approx(np.mean(costs), rel=1e-4)


def test_cosface(vectors):
    objective = build_objective("cosface", dim=DIM, classes=CLASSES, margin=0.3, scale=20)
    cosines, costs = class_cosines(objective, vectors, turned=True), []
    for row, label in zip(cosines, LABELS, strict=True):
        logits = [20 * (c - (0.3 if k == label else 0)) for k, c in enumerate(row)]
        costs.append(softmax_cost(logits, label))
    assert value(objective, vectors) == pytest.approx(np.mean(costs), rel=1e-4)


def test_normalised_softmax(vectors):
    objective = build_objective("softmax", dim=DIM, classes=CLASSES, temperature=0.1)
    cosines = class_cosines(objective, vectors, turned=True)
    costs = [softmax_cost(list(row / 0.1), k) for row, k in zip(cosines, LABELS, strict=True)]
    assert value(objective, vectors) == pytest.approx(np.mean(costs), rel=1e-4)


def test_proxy_anchor(vectors):
    objective = build_objective("proxy-anchor", dim=DIM, classes=CLASSES, margin=0.1, scale=8)
    cosines = class_cosines(objective, vectors, turned=False)
    near, far = [], []
    for k in range(CLASSES):
        own = [cosines[i, k] for i in range(8) if LABELS[i] == k]
        other = [cosines[i, k] for i in range(8) if LABELS[i] != k]
        near.append(math.log(1 + sum(math.exp(-8 * (c - 0.1)) for c in own)))
        far.append(math.log(1 + sum(math.exp(8 * (c + 0.1)) for c in other)))
    assert value(objective, vectors) == pytest.approx(np.mean(near) + np.mean(far), rel=1e-4)


def test_triplet(vectors):
    objective = build_objective("triplet", dim=DIM, classes=CLASSES, margin=0.2)
    z, costs = unit(vectors), []
    for a in range(8):
        for p in range(8):
            for n in range(8):
                if a != p and LABELS[a] == LABELS[p] and LABELS[a] != LABELS[n]:
                    near, far = np.sum((z[a] - z[p]) ** 2), np.sum((z[a] - z[n]) ** 2)
                    costs.append(max(0.0, near - far + 0.2))
    paid = [cost for cost in costs if cost > 0]
    assert 0 < len(paid) < len(costs)
    assert value(objective, vectors) == pytest.approx(np.mean(paid), rel=1e-4)


def test_contrastive(vectors):
    objective = build_objective("contrastive", dim=DIM, classes=CLASSES, margin=1.2)
    z, near, far = unit(vectors), [], []
    for i in range(8):
        for j in range(8):
            distance = float(np.linalg.norm(z[i] - z[j]))
            if i != j and LABELS[i] == LABELS[j]:
                near.append(distance)
            elif i != j and distance < 1.2:
                far.append(1.2 - distance)
    assert far
    assert value(objective, vectors) == pytest.approx(np.mean(near) + np.mean(far), rel=1e-4)


def test_supervised_contrastive(vectors):
    objective = build_objective("supcon", dim=DIM, classes=CLASSES, temperature=0.2)
    z, costs = unit(vectors), []
    for i in range(8):
        others = sum(math.exp(float(z[i] @ z[k]) / 0.2) for k in range(8) if k != i)
        own = [
            -math.log(math.exp(float(z[i] @ z[j]) / 0.2) / others)
            for j in range(8)
            if j != i and LABELS[i] == LABELS[j]
        ]
        if own:
            costs.append(np.mean(own))
    assert value(objective, vectors) == pytest.approx(np.mean(costs), rel=1e-4)


def adaptive_by_hand(cosines, labels, target):
    own = [row[k] for row, k in zip(cosines, labels, strict=True)]
    place = sorted(range(len(own)), key=lambda i: own[i])[(len(own) - 1) // 2]
    median = own[place]
    # An image with cosine 1 beside the median's others has probability 1 - 1e-7.
    scale = math.log((1 - 1e-7) / 1e-7 * (1 - target) / target) / (1 - median)
    scale = min(max(scale, 32), 512)
    others = sum(math.exp(scale * c) for k, c in enumerate(cosines[place]) if k != labels[place])
    margin = max(median - math.log(others * target / (1 - target)) / scale, 0.0)
    return place, scale, margin


@pytest.mark.parametrize("closeness", [0.0, 0.5, 2.0])
def test_adaptive_softmax(closeness):
    objective = AdaptiveSoftmax(dim=DIM, classes=CLASSES).train()
    vectors = torch.randn(8, DIM) * 0.3 + closeness * objective.weight.detach()[LABELS] * 2
    cosines = class_cosines(objective, vectors, turned=False)
    _, scale, margin = adaptive_by_hand(cosines, LABELS, 0.02)
    costs = [
        softmax_cost(
            [scale * (c - (margin if k == label else 0)) for k, c in enumerate(row)], label
        )
        for row, label in zip(cosines, LABELS, strict=True)
    ]
    assert value(objective, vectors) == pytest.approx(np.mean(costs), rel=1e-3)
    objective.eval()
    plain = [softmax_cost(list(scale * row), k) for row, k in zip(cosines, LABELS, strict=True)]
    assert value(objective, vectors) == pytest.approx(np.mean(plain), rel=1e-3, abs=1e-5)


def test_adaptive_softmax_meets_its_two_conditions():
    objective = AdaptiveSoftmax(dim=DIM, classes=CLASSES, median_probability=0.1)
    cosines = torch.full((5, CLASSES), 0.2, dtype=torch.float64)
    labels = torch.tensor([0, 1, 2, 3, 0])
    cosines[range(5), labels] = torch.tensor([0.5, 0.6, 0.7, 0.8, 0.9], dtype=torch.float64)
    scale, margin = objective.scale_and_margin(cosines, labels)
    others = 3 * math.exp(scale.item() * 0.2)

    def probability(cosine):
        own = math.exp(scale.item() * (cosine - margin.item()))
        return own / (own + others)

    assert probability(0.7) == pytest.approx(0.1, rel=1e-5)
    assert 1 - probability(1.0) == pytest.approx(1e-7, rel=1e-3)


def test_scale_and_margin_of_adaptive_softmax_grow_with_the_median():
    objective = AdaptiveSoftmax(dim=DIM, classes=CLASSES)
    labels = torch.tensor([0, 1, 2])
    found = []
    for own in (0.1, 0.5, 0.7, 0.9):
        cosines = torch.zeros(3, CLASSES)
        cosines[range(3), labels] = own
        found.append([x.item() for x in objective.scale_and_margin(cosines, labels)])
    scales, margins = zip(*found, strict=True)
    assert list(scales) == sorted(scales)
    assert list(margins) == sorted(margins)
    assert scales[0] == 32, "the scale has a floor"
    assert margins[-1] > margins[0] > 0
    cosines[range(3), labels] = 1.0
    assert objective.scale_and_margin(cosines, labels)[0].item() == 512, "and a ceiling"
    hopeless = torch.zeros(3, CLASSES)
    hopeless[range(3), labels] = -1.0
    assert objective.scale_and_margin(hopeless, labels)[1].item() == 0, "so has the margin"


def instance_by_hand(z, alike, apart, temperature, entropy):
    contrasts, spreads = [], []
    for i in range(len(z)):
        negatives = [j for j in range(len(z)) if apart[i][j]]
        if negatives:
            spreads.append(-math.log(min(float(np.linalg.norm(z[i] - z[n])) for n in negatives)))
        against = sum(math.exp(z[i] @ z[n] / temperature) for n in negatives)
        costs = []
        for j in range(len(z)):
            if alike[i][j]:
                own = math.exp(z[i] @ z[j] / temperature)
                costs.append(-math.log(own / (own + against)))
        if costs:
            contrasts.append(np.mean(costs))
    return np.mean(contrasts) + entropy * np.mean(spreads)


def test_instance_discrimination(vectors):
    objective = InstanceDiscrimination(temperature=0.1, entropy=5)
    alike = [[i != j and LABELS[i] == LABELS[j] for j in range(8)] for i in range(8)]
    apart = [[LABELS[i] != LABELS[j] for j in range(8)] for i in range(8)]
    expected = instance_by_hand(unit(vectors), alike, apart, 0.1, 5)
    assert value(objective, vectors) == pytest.approx(expected, rel=1e-4)
    plain = InstanceDiscrimination(temperature=0.1, entropy=0)
    assert value(plain, vectors) == pytest.approx(
        instance_by_hand(unit(vectors), alike, apart, 0.1, 0), rel=1e-4
    )


def test_mixed_views_share_content_with_both_their_images(vectors):
    labels = [[0, -1], [1, -1], [2, -1], [3, -1], [0, 2], [1, -1], [2, 3], [3, 3]]
    content = [set(row) - {-1} for row in labels]
    related = [[bool(a & b) for b in content] for a in content]
    assert share_content(torch.tensor(labels)).tolist() == related
    alike = [[i != j and related[i][j] for j in range(8)] for i in range(8)]
    apart = [[not related[i][j] for j in range(8)] for i in range(8)]
    objective = InstanceDiscrimination(temperature=0.1, entropy=5)
    expected = instance_by_hand(unit(vectors), alike, apart, 0.1, 5)
    with torch.no_grad():
        found = objective(vectors, torch.tensor(labels)).item()
    assert found == pytest.approx(expected, rel=1e-4)


def test_mixed_views_without_a_label_are_refused(vectors):
    with pytest.raises(LearnError, match="at least one label"):
        InstanceDiscrimination()(vectors, torch.full((8, 2), -1))


def test_entropy_alone_spreads_vectors_out():
    vectors = (torch.ones(12, 3) + 0.05 * torch.randn(12, 3)).requires_grad_()
    optimiser = torch.optim.Adam([vectors], lr=0.05)
    objective = InstanceDiscrimination(entropy=100)

    def nearest():
        z = torch.nn.functional.normalize(vectors.detach(), dim=1)
        return (torch.cdist(z, z) + 9 * torch.eye(12)).min().item()

    before = nearest()
    for _ in range(100):
        loss = objective(vectors, torch.arange(12))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert nearest() > 10 * before
