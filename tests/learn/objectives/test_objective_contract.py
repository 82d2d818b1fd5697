from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")
pytest.importorskip("pytorch_metric_learning", reason="some objectives need it")

from torch.nn import functional  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.model import build_objective  # noqa: E402
from glocal.registry import names, part  # noqa: E402

DIM, CLASSES = 6, 4
LABELS = torch.tensor([0, 1, 2, 3, 0, 1, 2, 3])


@pytest.fixture(params=names("objective"))
def name(request):
    return request.param


@pytest.fixture
def objective(name):
    return build_objective(name, dim=DIM, classes=CLASSES).train()


@pytest.fixture
def vectors():
    return functional.normalize(torch.randn(8, DIM), dim=1).requires_grad_()


def test_the_loss_is_finite_and_has_a_gradient(objective, vectors):
    loss = objective(vectors, LABELS)
    assert loss.shape == ()
    loss.backward()
    assert vectors.grad.isfinite().all()
    assert vectors.grad.any()


def test_class_weights_learn_unless_they_are_fixed_and_others_have_none(name, objective, vectors):
    parameters = list(objective.parameters())
    fixed = "stationary" in part("objective", name).traits
    assert bool(parameters) == (objective.learns_classes and not fixed)
    objective(vectors, LABELS).backward()
    assert all(p.grad is not None and p.grad.any() and p.grad.isfinite().all() for p in parameters)


def test_only_directions_of_vectors_matter(objective, vectors):
    once, scaled = objective(vectors, LABELS), objective(vectors * 7, LABELS)
    assert torch.allclose(once, scaled, rtol=1e-4)


def test_the_order_of_a_batch_does_not_matter(objective, vectors):
    shuffled = torch.randperm(8)
    once, again = objective(vectors, LABELS), objective(vectors[shuffled], LABELS[shuffled])
    assert torch.allclose(once, again, rtol=1e-4)


def test_gradient_descent_groups_vectors_by_label(name, objective):
    if "subspaces" in part("objective", name).traits:
        pytest.skip("the vectors of a class may lie anywhere in its subspace")
    vectors = torch.randn(8, DIM, requires_grad=True)
    optimiser = torch.optim.Adam([vectors, *objective.parameters()], lr=0.05)

    def gap():
        unit = functional.normalize(vectors.detach(), dim=1)
        likeness, same = unit @ unit.T, LABELS[:, None] == LABELS[None, :]
        return (likeness[same].mean() - likeness[~same].mean()).item()

    before, first = gap(), None
    for _ in range(60):
        loss = objective(vectors, LABELS)
        first = loss.item() if first is None else first
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert gap() > max(before, 0.6)
    # The adaptive softmax gets harder during training.
    assert loss.item() < first or type(objective).__name__ == "AdaptiveSoftmax"


@pytest.mark.parametrize("labels", [[0], [0, 1, 2], [1, 1, 1]])
def test_batches_without_pairs_have_a_finite_loss(objective, labels):
    vectors = torch.randn(len(labels), DIM, requires_grad=True)
    loss = objective(vectors, torch.tensor(labels))
    assert loss.isfinite()
    loss.backward()
    assert vectors.grad is None or vectors.grad.isfinite().all()


def test_equal_vectors_have_finite_gradients(objective):
    vectors = torch.ones(8, DIM, requires_grad=True)
    objective(vectors, LABELS).backward()
    assert vectors.grad.isfinite().all()


def test_half_precision_vectors_are_accepted(objective, vectors):
    whole = objective(vectors, LABELS)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = objective(vectors.bfloat16(), LABELS)
    assert half.dtype == torch.float32
    assert torch.allclose(whole, half, rtol=0.1, atol=0.05)


def test_wrong_shapes_and_labels_are_refused(objective, vectors):
    with pytest.raises(LearnError, match=r"vectors \(b, d\) and whole labels \(b,\)"):
        objective(vectors, LABELS[:3])
    with pytest.raises(LearnError, match="float32"):
        objective(vectors, LABELS.float())
    with pytest.raises(LearnError, match="vectors"):
        objective(vectors[0], LABELS)
    if objective.learns_classes:
        with pytest.raises(LearnError, match=r"from 0 to 4, but .* 4 classes: 0 to 3"):
            objective(vectors, torch.tensor([0, 1, 2, 3, 4, 1, 2, 3]))
        with pytest.raises(LearnError, match="from -1"):
            objective(vectors, LABELS - 1)


def test_an_unknown_option_is_refused(name):
    with pytest.raises(LearnError, match=f"the objective {name} cannot be built with .*sharpness"):
        build_objective(name, dim=DIM, classes=CLASSES, sharpness=1)


def test_class_weights_are_restored_from_a_state_dict(name, objective, vectors):
    other = build_objective(name, dim=DIM, classes=CLASSES)
    other.load_state_dict(objective.state_dict())
    assert torch.equal(objective.eval()(vectors, LABELS), other.eval()(vectors, LABELS))
    assert part("objective", name).load() is type(objective)
