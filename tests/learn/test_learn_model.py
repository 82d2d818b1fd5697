from __future__ import annotations

import logging
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny  # noqa: E402
from torch import nn  # noqa: E402

from glocal.errors import LearnError, ModelError, PartError  # noqa: E402
from glocal.learn.cells import Cells  # noqa: E402
from glocal.learn.model import EncoderGraph, Model, build_model  # noqa: E402
from glocal.registry import names, part  # noqa: E402

HEADS = {name: part("head", name).load() for name in names("head")}
SIZES = [(64, 96), (160, 128), (32, 32)]


def tiny_model(head, **options):
    torch.manual_seed(2)
    backbone = Tiny()
    made = HEADS[head](backbone.levels, dim=8, **options)
    return Model(backbone, made, Cells(backbone.levels, dim=6)).eval()


@pytest.mark.parametrize("head", HEADS)
def test_a_model_has_all_outputs_of_an_encoder(head):
    model = tiny_model(head)
    graph = EncoderGraph(model)
    for height, width in SIZES:
        image = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8)
        with torch.no_grad():
            vector, keypoints, descriptors, scores = graph(image)[:4]
            pixels = image.permute(0, 3, 1, 2).float() / 255
            assert torch.allclose(model(pixels).vector[0], vector, atol=1e-6)
        count = len(scores)
        assert count == min(128, height * width // 256)
        assert vector.shape == (8,) == (model.dim,)
        assert keypoints.shape == (count, 2)
        assert len(descriptors) == count
        assert vector.norm().item() == pytest.approx(1, abs=1e-5)
        assert torch.allclose(descriptors.norm(dim=1), torch.ones(count), atol=1e-5)
        assert (scores.diff() <= 0).all()


class Together(nn.Module):
    """Several models of one backbone, whose maps are computed once: one export tests all heads."""

    def __init__(self, models):
        super().__init__()
        self.models = nn.ModuleList(models)
        for model in self.models:
            model.backbone, model.cells = self.models[0].backbone, self.models[0].cells

    def forward(self, image):
        first = self.models[0]
        pixels = image.permute(0, 3, 1, 2).to(torch.float32) / 255
        maps = first.backbone(pixels)
        cells, found = first.cells(maps), []
        for model in self.models:
            output = model.output(pixels, maps)
            local = cells if output.local is None else output.local
            found += [output.vector, local.keypoints, local.descriptors, local.scores]
        return tuple(output[0] for output in found)


def exported(module, image, dynamic):
    """A session of the graph as it is exported; `test_export_files` has it optimised."""
    pytest.importorskip("onnxscript", reason="exporting needs onnxscript")
    onnxruntime = pytest.importorskip("onnxruntime", reason="nothing to run the export with")
    quiet = logging.getLogger("torch.onnx")
    before, shapes = quiet.level, None
    if dynamic:
        free = torch.export.Dim.DYNAMIC
        shapes = {"image": {1: free, 2: free}}
    quiet.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the exporter warns about its own code
            program = torch.onnx.export(
                module.eval(), (image,), dynamo=True, dynamic_shapes=shapes,
                input_names=["image"], opset_version=18, verbose=False, optimize=False,
            )  # fmt: skip
    finally:
        quiet.setLevel(before)
    return onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )


@pytest.fixture(scope="module")
def free_heads():
    models = {name: tiny_model(name) for name, made in HEADS.items() if not made.fixed_size}
    image = torch.zeros(1, 96, 128, 3, dtype=torch.uint8)
    session = exported(Together(models.values()), image, dynamic=True)
    runs = []
    for seed, (height, width) in enumerate(SIZES):
        random = torch.Generator().manual_seed(seed)
        image = torch.randint(0, 256, (1, height, width, 3), dtype=torch.uint8, generator=random)
        runs.append((image, session.run(None, {"image": image.numpy()})))
    return models, runs


def compare(expected, found):
    """Assert equal outputs; cells with nearly equal scores may change places."""
    for ours, theirs in zip(expected, found, strict=True):
        assert ours.shape == theirs.shape
    vector, keypoints, descriptors, scores = (o.numpy() for o in expected)
    assert found[0] == pytest.approx(vector, abs=1e-4)
    assert found[3] == pytest.approx(scores, abs=1e-4)
    order = [np.lexsort(np.round(points, 4).T) for points in (keypoints, found[1])]
    same = [tuple(np.round(k, 4)) for k in keypoints[order[0]]]
    if same == [tuple(np.round(k, 4)) for k in found[1][order[1]]]:
        assert found[2][order[1]] == pytest.approx(descriptors[order[0]], abs=1e-4)
    else:  # the last one kept and the first one dropped may change places too
        shared = set(same) & {tuple(np.round(k, 4)) for k in found[1]}
        assert len(shared) > 0.9 * len(same)


@pytest.mark.parametrize("head", [name for name, made in HEADS.items() if not made.fixed_size])
def test_onnx_agrees_with_torch_at_any_size(head, free_heads):
    models, runs = free_heads
    place = 4 * list(models).index(head)
    for image, outputs in runs:
        with torch.no_grad():
            expected = EncoderGraph(models[head])(image)[:4]
        compare(expected, outputs[place : place + 4])


def test_onnx_agrees_with_torch_at_the_traced_size():
    models = [tiny_model(name) for name, made in HEADS.items() if made.fixed_size]
    image = torch.randint(0, 256, (1, 96, 128, 3), dtype=torch.uint8)
    session = exported(Together(models), image, dynamic=False)
    found = session.run(None, {"image": image.numpy()})
    assert len(found) == 4 * len(models)
    for number, model in enumerate(models):
        with torch.no_grad():
            expected = EncoderGraph(model)(image)[:4]
        compare(expected, found[4 * number :][:4])


def test_keypoints_can_be_placed_by_other_centres():
    image = torch.rand(1, 3, 64, 96)
    for head in ("gem", "delg"):
        model = tiny_model(head)
        before = model.features(image)[1]
        model.recentre([4.0, 8.0, 16.0])
        shift = torch.tensor([7.5 / 96, 7.5 / 64])
        assert torch.allclose(model.features(image)[1], before - shift, atol=1e-6)


def test_models_are_built_by_name():
    model = build_model(
        backbone="efficientnet-lite0", head="gem", dim=16, weights="none", local_dim=10
    )
    vector, _, descriptors, _ = model.eval().features(torch.rand(1, 3, 64, 64))
    assert vector.shape == (1, 16)
    assert descriptors.shape == (1, 16, 10)
    trunk = sum(p.numel() for p in model.backbone.parameters())
    assert sum(p.numel() for p in model.parameters()) - trunk < 100_000
    features = build_model(backbone="efficientnet-lite0", head="average", weights="none")
    assert features.dim == 1280
    delf = build_model(
        backbone="efficientnet-lite0", head="delf", dim=16, classes=7, weights="none",
        head_options={"local_dim": 12},
    )  # fmt: skip
    assert delf.head.attentive.classify.out_features == 7
    assert delf.eval().features(torch.rand(1, 3, 64, 64))[2].shape == (1, 16, 12)


@pytest.mark.parametrize("head", HEADS)
def test_the_largest_model_stays_small(head):
    model = build_model(backbone="efficientnet-lite0", head=head, dim=512, weights="none")
    assert sum(p.numel() for p in model.parameters()) < 6_000_000


def test_wrong_names_and_options_are_refused():
    with pytest.raises(PartError, match="did you mean 'efficientnet-lite0'"):
        build_model(backbone="efficientnet-lit0", head="gem")
    with pytest.raises(LearnError, match=r"the head gem cannot be built with .*sharp"):
        build_model(
            backbone="efficientnet-lite0", head="gem", weights="none", head_options={"sharp": 1}
        )
    with pytest.raises(LearnError, match="only timm takes the name of a model"):
        build_model(backbone="efficientnet-lite0:b", head="gem")
    with pytest.raises(LearnError, match="only timm takes the name of a model"):
        build_model(backbone="timm", head="gem")
    with pytest.raises(ModelError, match=r"no file of weights .*nothing\.pth"):
        build_model(backbone="efficientnet-lite0", head="gem", weights="nothing.pth")
