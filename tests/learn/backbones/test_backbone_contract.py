from __future__ import annotations

from importlib.util import find_spec

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.backbones.timm_model import TimmBackbone  # noqa: E402
from glocal.learn.receptive import effective_offsets, measured_offsets  # noqa: E402
from glocal.registry import names, part  # noqa: E402


def untrained(name):
    made = part("backbone", name).load()
    if name == "timm":
        if find_spec("timm") is None:
            pytest.skip("timm is not installed")
        return made("resnet18", weights="none")
    if hasattr(made, "tiny"):
        if issubclass(made, TimmBackbone) and find_spec("timm") is None:
            pytest.skip("timm is not installed")
        return made.tiny()
    return made(weights="none")


@pytest.fixture(scope="module", params=["tiny", *names("backbone", without="size")])
def backbone(request):
    return Tiny() if request.param == "tiny" else untrained(request.param)


@pytest.mark.parametrize(("batch", "rows", "columns"), [(1, 2, 3), (2, 1, 1)])
def test_maps_have_the_promised_shapes(backbone, batch, rows, columns):
    height, width = rows * backbone.multiple, columns * backbone.multiple
    maps = backbone.eval()(torch.rand(batch, 3, height, width))
    assert len(maps) == len(backbone.levels)
    for level, feature_map in zip(backbone.levels, maps, strict=True):
        cells = (height // level.stride, width // level.stride)
        assert feature_map.shape == (batch, level.width, *cells)
        assert feature_map.isfinite().all()


def test_levels_go_from_fine_to_coarse(backbone):
    strides = [level.stride for level in backbone.levels]
    assert strides == sorted(strides)
    assert backbone.multiple % strides[-1] == 0


def test_receptive_fields_are_where_the_levels_say(backbone):
    assert measured_offsets(backbone) == [level.offset for level in backbone.levels]


def test_every_weight_learns(backbone):
    backbone.eval()  # in training, a bias before batch normalisation has no effect
    for module in backbone.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)  # some start at zero, which stops what is before
    backbone.zero_grad()
    side = max(128, 2 * backbone.multiple)
    sum(
        m.square().mean() for m in backbone(torch.rand(1, 3, max(128, backbone.multiple), side))
    ).backward()
    lazy = [n for n, p in backbone.named_parameters() if p.grad is None or not p.grad.any()]
    assert not lazy
    assert all(p.grad.isfinite().all() for p in backbone.parameters())


def test_flat_images_give_finite_maps(backbone):
    for grey in (0.0, 0.5, 1.0):
        maps = backbone.eval()(torch.full((1, 3, 64, 64), grey))
        assert all(feature_map.isfinite().all() for feature_map in maps)


def test_the_same_image_gives_the_same_maps(backbone):
    image = torch.rand(1, 3, 64, 64)
    for once, again in zip(backbone.eval()(image), backbone(image), strict=True):
        assert torch.equal(once, again)


def test_frozen_stages_stay_as_they_are(backbone):
    stages = len(backbone.stages)
    backbone.freeze(stages)
    before = {k: v.clone() for k, v in backbone.state_dict().items()}
    backbone.train()
    assert not any(p.requires_grad for p in backbone.parameters())
    backbone(torch.rand(2, 3, 64, 64))
    assert all(torch.equal(v, before[k]) for k, v in backbone.state_dict().items())
    backbone.freeze(0)
    assert backbone.stages[0].training
    assert all(p.requires_grad for p in backbone.parameters())
    with pytest.raises(LearnError, match="cannot be frozen"):
        backbone.freeze(stages + 1)


def test_images_of_a_wrong_shape_are_refused(backbone):
    with pytest.raises(
        LearnError, match=rf"64x33 pixels does not fit.*multiples of {backbone.multiple}"
    ):
        backbone(torch.rand(1, 3, 33, 64))
    with pytest.raises(
        LearnError, match=r"takes images \(b, 3, h, w\) float, not \(1, 1, 64, 64\)"
    ):
        backbone(torch.rand(1, 1, 64, 64))
    with pytest.raises(LearnError, match="uint8"):
        backbone(torch.zeros(1, 3, 64, 64, dtype=torch.uint8))


def test_the_first_stages_can_be_frozen():
    tiny = Tiny()
    tiny.freeze(1)
    learns = [all(p.requires_grad for p in stage.parameters()) for stage in tiny.stages]
    assert learns == [False, True, True]
    assert [stage.training for stage in tiny.train().stages] == [False, True, True]


def test_the_effective_centre_follows_the_weights():
    tiny = Tiny().eval()
    for module in tiny.modules():
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (3, 3):
            weight = torch.zeros_like(module.weight)
            weight[:, :, 0, 0] = module.weight[:, :, 0, 0].abs()  # only the upper left is seen
            module.weight = torch.nn.Parameter(weight)
        if isinstance(module, torch.nn.Conv2d) and module.kernel_size == (1, 1):
            torch.nn.init.constant_(module.weight, 0.1)
    tiny.normalise = lambda image: image
    assert effective_offsets(tiny, torch.rand(2, 3, 96, 96), probes=2) == pytest.approx([0.5] * 3)
