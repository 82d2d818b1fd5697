"""What holds for every block: shapes, gradients, merging, and one ONNX graph of all."""

from __future__ import annotations

import os
import warnings

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from torch import nn  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.contracts import Block  # noqa: E402
from glocal.learn.cost import count_flops, count_parameters  # noqa: E402
from glocal.learn.graft import graft, merge  # noqa: E402
from glocal.registry import names, part  # noqa: E402
from glocal.trials.zoo import SmallResidual  # noqa: E402

WIDTH = 16
EVERY = os.environ.get("GLOCAL_EXPORT_EVERY_BLOCK") == "1"  # takes a minute


def built(name: str) -> Block:
    made = part("block", name).load()
    if made.role == "residual":
        return made(WIDTH, layers=[nn.Conv2d(WIDTH, WIDTH, 3, padding=1) for _ in range(2)])
    return made(WIDTH, stride=min(made.strides))


@pytest.fixture(params=names("block"))
def name(request) -> str:
    return request.param


def test_the_trait_is_the_role(name: str) -> None:
    assert part("block", name).traits == (part("block", name).load().role,)


@pytest.mark.parametrize("shape", [(2, WIDTH, 8, 12), (1, WIDTH, 5, 7), (3, WIDTH, 4, 4)])
def test_maps_have_the_promised_shape(name: str, shape) -> None:
    block = built(name).eval()
    found = block(torch.randn(shape))
    sides = [-(-side // block.stride) for side in shape[2:]]
    assert found.shape == (shape[0], block.out, *sides)
    assert found.isfinite().all()


def test_other_strides_and_widths_are_kept_or_refused(name: str) -> None:
    made = part("block", name).load()
    if made.role == "residual":
        pytest.skip("a residual block keeps the shape")
    for stride in (1, 2, 3):
        for out in (WIDTH, 2 * WIDTH):
            if stride in made.strides and (out == WIDTH or made.widens):
                found = made(WIDTH, out=out, stride=stride)(torch.randn(2, WIDTH, 8, 8))
                assert found.shape == (2, out, -(-8 // stride), -(-8 // stride))
            else:
                with pytest.raises(LearnError, match="cannot go from"):
                    made(WIDTH, out=out, stride=stride)


def test_every_parameter_gets_a_finite_gradient(name: str) -> None:
    block = built(name).train()
    x = torch.randn(4, WIDTH, 6, 6, requires_grad=True)
    (block(x) * torch.randn(1)).square().mean().backward()
    for which, parameter in block.named_parameters():
        assert parameter.grad is not None, which
        assert parameter.grad.isfinite().all(), which
    assert x.grad.any()


def test_images_of_a_batch_are_independent_when_evaluated(name: str) -> None:
    block, x = built(name).eval(), torch.randn(3, WIDTH, 6, 6)
    assert torch.allclose(block(x)[1:2], block(x[1:2]), atol=1e-5)


def test_merged_equals_unmerged(name: str) -> None:
    block, x = built(name).eval(), torch.randn(2, WIDTH, 6, 6)
    merged = block.merged()
    assert not any(part.training for part in merged.modules())  # norms are folded into it
    assert torch.allclose(merged(x), block(x), atol=1e-5)


def test_a_block_is_grafted_into_a_trunk_that_still_gives_its_maps(name: str) -> None:
    trunk = SmallResidual().eval()
    role = part("block", name).load().role
    if role == "mlp":
        pytest.skip("the trunk has no 1x1 convolution")
    grafted = graft(trunk, role, part("block", name).load(), [1, 2])
    image = torch.rand(2, 3, 16, 16)
    before, after = trunk(image), grafted(image)
    assert [m.shape for m in before] == [m.shape for m in after]
    assert count_parameters(grafted) > 0
    assert count_flops(grafted, image) > 0
    if part("block", name).load().starts_as_identity:
        assert torch.equal(before[-1], after[-1])
    merged = merge(grafted.eval())(image)
    assert torch.allclose(merged[-1], after[-1], atol=1e-4)


EXPORTED = ("affnet", "dcls", "fna", "sgconv")
"""Blocks whose graph for ONNX is computed in another way than torch computes, or is unrolled."""


class Several(nn.Module):
    """Blocks in one graph: what an export costs depends little on what is in it."""

    def __init__(self, chosen) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(built(name) for name in chosen)

    def forward(self, x):
        return tuple(block(x) for block in self.blocks)


@pytest.mark.parametrize(
    "chosen",
    [EXPORTED] + [(name,) for name in names("block") if name not in EXPORTED and EVERY],
    ids=",".join,
)
def test_onnx_computes_what_torch_does(chosen) -> None:
    import onnxruntime

    pytest.importorskip("onnxscript")
    model, x = Several(chosen).eval(), torch.randn(1, WIDTH, 6, 8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter warns about its own code
        program = torch.onnx.export(
            model, (x,), dynamo=True, verbose=False, opset_version=18, optimize=False
        )
    session = onnxruntime.InferenceSession(
        program.model_proto.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {session.get_inputs()[0].name: x.numpy()})
    for name, one, two in zip(chosen, model(x), found, strict=True):
        assert np.abs(one.detach().numpy() - two).max() < 1e-4, name
