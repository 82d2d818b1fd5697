from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402

from glocal.learn.contracts import TwoPassHead  # noqa: E402
from glocal.registry import names, part  # noqa: E402

LEVELS = Tiny().levels
DIM = 8


@pytest.fixture(params=names("head"))
def made(request):
    return part("head", request.param).load()


@pytest.fixture
def head(made):
    torch.manual_seed(1)
    return made(LEVELS, dim=DIM)


@pytest.fixture
def training_head(head):
    head.progress(1.0)
    return head.train()


def both_passes(head, maps):
    """The head's output; maps of the crops, if it takes any, depend on the boxes."""
    output = head(maps)
    if not isinstance(head, TwoPassHead):
        return output
    place = (head.boxes(output) * torch.tensor([1.0, 2, 3, 4])).sum(dim=1)
    return head.fuse(output, [m * place[:, None, None, None] + m.flip(2) for m in maps])


SIZES = [(1, 64, 96), (2, 32, 32), (3, 160, 96), (1, 32, 256)]


@pytest.mark.parametrize(("batch", "height", "width"), SIZES)
def test_vectors_are_unit_rows(head, batch, height, width):
    output = head.eval()(random_maps(LEVELS, batch, height, width))
    assert output.vector.shape == (batch, DIM) == (batch, head.dim)
    assert output.vector.dtype == torch.float32
    assert torch.allclose(output.vector.norm(dim=1), torch.ones(batch), atol=1e-5)


@pytest.mark.parametrize(("batch", "height", "width"), SIZES)
def test_local_features_have_the_promised_shapes(head, batch, height, width):
    output = head.eval()(random_maps(LEVELS, batch, height, width))
    if output.attention is not None:
        assert output.attention.shape[0] == batch
        assert (output.attention >= 0).all()
    if output.local is None:
        return
    keypoints, descriptors = output.local.keypoints, output.local.descriptors
    scores = output.local.scores
    count = scores.shape[1]
    assert 0 < count <= 128
    assert keypoints.shape == (batch, count, 2)
    assert ((keypoints >= 0) & (keypoints <= 1)).all()
    assert torch.allclose(descriptors.norm(dim=2), torch.ones(batch, count), atol=1e-5)
    assert (scores >= 0).all()
    assert (scores.diff(dim=1) <= 0).all()


def test_images_of_a_batch_are_independent(head):
    maps = random_maps(LEVELS, 3)
    together = head.eval()(maps)
    alone = head([feature_map[1:2] for feature_map in maps])
    assert torch.allclose(together.vector[1:2], alone.vector, atol=1e-5)


def test_flat_feature_maps_give_finite_vectors(head):
    for value in (0.0, 1.0):
        maps = [torch.full_like(m, value) for m in random_maps(LEVELS)]
        output = head.eval()(maps)
        assert output.vector.isfinite().all()
        assert output.local is None or output.local.descriptors.isfinite().all()


def test_feature_maps_with_negative_values_are_accepted(head):
    maps = [m * 2 - 1 for m in random_maps(LEVELS)]
    assert torch.allclose(head.eval()(maps).vector.norm(dim=1), torch.ones(2), atol=1e-5)


def test_everything_learns_and_stays_finite(training_head):
    maps = [m.requires_grad_() for m in random_maps(LEVELS, 4)]
    output = both_passes(training_head, maps)
    labels = torch.tensor([0, 0, 1, 1])
    own = training_head.loss(output, labels)
    assert own.ndim == 0
    ((output.vector * torch.randn(4, DIM)).sum() + own).backward()
    for name, parameter in training_head.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name
    assert any(p.grad is not None and p.grad.any() for p in training_head.parameters()) or not any(
        p.requires_grad for p in training_head.parameters()
    )
    for feature_map in maps:
        assert feature_map.grad is None or feature_map.grad.isfinite().all()


def test_flat_maps_have_finite_gradients(training_head):
    maps = [torch.ones_like(m).requires_grad_() for m in random_maps(LEVELS, 4)]
    output = training_head(maps)
    own = training_head.loss(output, torch.tensor([0, 0, 1, 1]))
    (output.vector.sum() + own).backward()
    grads = [p.grad for p in [*training_head.parameters(), *maps] if p.grad is not None]
    assert grads
    assert all(grad.isfinite().all() for grad in grads)


def test_a_batch_without_pairs_has_a_finite_loss(training_head):
    output = training_head(random_maps(LEVELS, 3))
    assert training_head.loss(output, torch.tensor([0, 1, 2])).isfinite()
    assert training_head.loss(output, torch.tensor([0, 0, 0])).isfinite()


def test_the_same_maps_give_the_same_output(head):
    maps = random_maps(LEVELS)
    assert torch.equal(head.eval()(maps).vector, head(maps).vector)


def test_half_precision_changes_little(head):
    maps = random_maps(LEVELS)
    whole = head.eval()(maps).vector
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = head([m.bfloat16() for m in maps]).vector
    assert half.dtype == torch.float32
    assert ((whole * half).sum(dim=1) > 0.99).all()


def test_mirrored_maps_give_the_same_vector_where_promised(made, head):
    if not made.mirrors:
        pytest.skip(f"{made.__name__} does not promise it")
    maps = random_maps(LEVELS)
    plain, mirrored = head.eval()(maps), head([m.flip(3) for m in maps])
    assert torch.allclose(plain.vector, mirrored.vector, atol=1e-5)
    if plain.attention is not None:
        assert torch.allclose(plain.attention, mirrored.attention.flip(2), atol=1e-5)


def test_weights_are_restored_from_a_state_dict(made, head):
    head.train()(random_maps(LEVELS, 4))
    other = made(LEVELS, dim=DIM)
    other.load_state_dict(head.state_dict())
    maps = random_maps(LEVELS)
    assert torch.equal(head.eval()(maps).vector, other.eval()(maps).vector)


def test_heads_that_learn_classes_accept_them(made):
    if not made.learns_classes:
        with pytest.raises(TypeError):
            made(LEVELS, dim=DIM, classes=3)
        return
    head = made(LEVELS, dim=DIM, classes=3).train()
    labels = torch.tensor([0, 2, 1])
    loss = head.loss(head(random_maps(LEVELS, 3)), labels)
    loss.backward()
    assert loss > 0
