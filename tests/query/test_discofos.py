"""Two encoders that say by their inner product what fits into a box."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="needs glocal[learn]")

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.foregrounds import CompositeTeacher, ForegroundSearch  # noqa: E402
from glocal.registry import load, part  # noqa: E402


@pytest.fixture
def images():
    return torch.rand((2, 6, 4, 16, 16), generator=torch.Generator().manual_seed(0))


def small() -> ForegroundSearch:
    torch.manual_seed(0)
    return ForegroundSearch(side=16, width=4, dim=8, teacher_dim=5).eval()


def test_the_registry_has_it():
    assert load("query", "discofos") is ForegroundSearch
    assert part("query", "discofos").requires == "glocal[learn]"


def test_its_score_is_an_inner_product_that_an_index_can_answer(images):
    student = small()
    backs, fronts = images
    feature, logits = student(backs, fronts)
    assert (feature.shape, logits.shape) == ((6, 5), (6,))
    scores = student.queries(backs) @ student.gallery(fronts).T
    assert torch.allclose(scores.diagonal() + student.bias, logits, atol=1e-5)


def test_the_loss_is_that_of_its_docstring(images):
    student = small()
    backs, fronts = images
    fits = torch.tensor([1.0, 0, 1, 0, 1, 0])
    torch.manual_seed(1)
    target, certain = CompositeTeacher(side=16, width=4, dim=5)(backs)
    feature, logits = student(backs, fronts)
    chance = torch.sigmoid(logits)

    def entropy(wanted):
        return -(wanted * chance.log() + (1 - wanted) * (1 - chance).log()).mean()

    slow = entropy(fits)
    slow = slow + 0.5 * ((feature - target) ** 2).mean() + 0.5 * entropy(torch.sigmoid(certain))
    found = student.loss(backs, fronts, fits, (target, certain), weight=0.5)
    assert torch.allclose(found, slow, atol=1e-5)
    assert torch.allclose(student.loss(backs, fronts, fits, None), entropy(fits), atol=1e-5)


def test_only_the_student_learns_and_it_learns(images):
    student, teacher = small(), CompositeTeacher(side=16, width=4, dim=5)
    backs, fronts = images
    losses = []
    for _ in range(30):
        student.zero_grad()
        loss = student.loss(backs, fronts, None, teacher(backs))
        loss.backward()
        with torch.no_grad():  # by hand: importing torch's optimizers takes seconds
            for each in student.parameters():
                each.sub_(0.1 * each.grad)
        losses.append(loss.item())
    assert losses[-1] < losses[0] - 0.005
    assert all(each.grad is None for each in teacher.parameters())
    assert all(
        each.grad is not None
        for each in (student.background.project.weight, student.foreground.project.weight)
    )


def test_what_cannot_be_is_refused(images):
    with pytest.raises(LearnError, match="images of 12 pixels"):
        ForegroundSearch(side=12)
    with pytest.raises(LearnError, match="pairs without labels need a teacher"):
        small().loss(*images, None, None)
