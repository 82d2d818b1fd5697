"""Heads that encode a crop too, and heads that take a condition."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.cells import Cells  # noqa: E402
from glocal.learn.contracts import Head, Output  # noqa: E402
from glocal.learn.crops import cut  # noqa: E402
from glocal.learn.heads.gem import Gem  # noqa: E402
from glocal.learn.heads.glsim import GlSim  # noqa: E402
from glocal.learn.heads.projected import FixedReweighting, ProjectionHead  # noqa: E402
from glocal.learn.heads.varifocal import Varifocal  # noqa: E402
from glocal.learn.model import Model  # noqa: E402

LEVELS = Tiny().levels


def test_a_crop_of_whole_pixels_is_a_slice_and_gradients_reach_the_box():
    image = torch.rand(2, 3, 8, 16)
    boxes = torch.tensor([[0.25, 0.5, 0.5, 1.0], [0.0, 0.0, 0.25, 0.5]], requires_grad=True)
    found = cut(image, boxes, 4)
    assert torch.allclose(found[0], image[0, :, 4:8, 4:8], atol=1e-5)
    assert torch.allclose(found[1], image[1, :, :4, :4], atol=1e-5)
    assert torch.allclose(cut(image, torch.tensor([[0.0, 0, 1, 1]] * 2), 4)[..., 0, 0],
                          image[:, :, 0:2, 1:3].mean(dim=(2, 3)), atol=1e-5)  # fmt: skip
    found.square().sum().backward()
    assert boxes.grad.abs().sum() > 0


def test_the_box_of_glsim_holds_the_cells_most_similar_to_the_whole():
    head = GlSim(LEVELS, dim=8, top=3).eval()
    maps = random_maps(LEVELS, 2, 128, 160)
    output = head(maps)
    similar = output.kept["similar"]
    for number, box in enumerate(head.boxes(output)):
        best = sorted((-float(similar[number, y, x]), x, y) for y in range(4) for x in range(5))[:3]
        xs, ys = [x for _, x, _ in best], [y for _, _, y in best]
        expected = [min(xs) / 5, min(ys) / 4, (max(xs) + 1) / 5, (max(ys) + 1) / 4]
        assert box.tolist() == pytest.approx(expected)


def test_boxes_of_varifocal_are_squares_inside_the_image_where_the_scores_are():
    head = Varifocal(LEVELS, dim=8, least=0.2, most=0.4)
    maps = random_maps(LEVELS, 3, 160, 160)
    boxes = head.boxes(head(maps))
    sides = boxes[:, 2:] - boxes[:, :2]
    assert torch.allclose(sides[:, 0], sides[:, 1])
    assert ((sides >= 0.2) & (sides <= 0.4)).all()
    assert ((boxes >= 0) & (boxes <= 1)).all()
    weights = torch.zeros(1, 5, 5)
    weights[0, 1, 3] = 1
    box = head._box(weights, torch.zeros(1))
    assert box[0].tolist() == pytest.approx([0.55, 0.15, 0.85, 0.45])
    with pytest.raises(LearnError, match="least < most"):
        Varifocal(LEVELS, least=0.8)


@pytest.mark.parametrize("made", [GlSim, Varifocal])
def test_a_model_encodes_the_crop_too_and_labels_teach_both_passes(made):
    torch.manual_seed(0)
    trunk = Tiny()
    model = Model(trunk, made(trunk.levels, dim=8, cells=2), Cells(trunk.levels)).train()
    images = torch.rand(3, 3, 64, 96)
    maps = trunk(images)
    first = model.head(maps)
    crops = cut(images, model.head.boxes(first), 64)
    expected = model.head.fuse(first, trunk(crops)).vector
    model.eval()
    both = model(images).vector
    assert both.shape == (3, 8)
    assert not torch.allclose(both, model.head(trunk(images)).vector)
    assert torch.allclose(model.features(images)[0], both)
    (expected * torch.randn(3, 8)).sum().backward()
    for name, parameter in model.head.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.any(), name


class Shifted(Head):
    """Adds the condition to the mean."""

    conditioned = True

    def __init__(self, levels, *, dim=16):
        super().__init__()
        self.dim = dim

    def forward(self, maps, condition=None):
        mean = maps[-1].mean(dim=(2, 3))
        return Output(torch.nn.functional.normalize(mean + (0 if condition is None else condition)))


def test_a_condition_reaches_a_head_that_takes_one():
    trunk = Tiny()
    images, wanted = torch.rand(2, 3, 32, 32), 5 * torch.eye(16)[:2]
    model = Model(trunk, Shifted(trunk.levels), Cells(trunk.levels)).eval()
    assert (model(images, wanted).vector.argmax(dim=1) == torch.tensor([0, 1])).all()
    assert not torch.equal(model(images, wanted).vector, model(images).vector)
    with pytest.raises(LearnError, match="Gem takes no condition"):
        Model(trunk, Gem(trunk.levels, dim=4), Cells(trunk.levels)).eval()(images, wanted)


@pytest.mark.parametrize("made", [ProjectionHead, FixedReweighting])
def test_a_projection_is_in_force_in_training_only(made):
    head = made(LEVELS, dim=6)
    maps = random_maps(LEVELS, 3)
    features = head.features(maps)
    unit = torch.nn.functional.normalize
    assert torch.allclose(head.train()(maps).vector, unit(head.project(features)))
    assert torch.allclose(head.eval()(maps).vector, unit(features))


def test_fixed_weights_are_geometric():
    head = FixedReweighting(LEVELS, dim=4, decay=0.5)
    assert head.project(torch.ones(1, 4)).tolist() == [[1, 0.5, 0.25, 0.125]]
    with pytest.raises(LearnError, match=r"decay has to be more than 0 and at most 1, not 1\.5"):
        FixedReweighting(LEVELS, decay=1.5)
