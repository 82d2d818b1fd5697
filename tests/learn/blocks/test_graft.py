from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from torch import nn  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.blocks.laurel import Laurel  # noqa: E402
from glocal.learn.blocks.ulsam import SubspaceAttention  # noqa: E402
from glocal.learn.blocks.weighted_convolution import WeightedConvolution  # noqa: E402
from glocal.learn.cost import count_flops, count_parameters, largest_tensor  # noqa: E402
from glocal.learn.graft import graft, merge  # noqa: E402
from glocal.trials.zoo import SmallResidual, count_blocks  # noqa: E402


def test_only_the_chosen_stages_are_changed_and_never_the_trunk_itself() -> None:
    trunk = SmallResidual()
    grafted = graft(trunk, "conv", WeightedConvolution, [1])
    counts = [count_blocks(stage, WeightedConvolution) for stage in grafted.stages]
    assert counts == [0, 3, 0]
    assert count_blocks(trunk, WeightedConvolution) == 0


def test_layers_of_other_widths_stay_where_a_block_cannot_widen() -> None:
    grafted = graft(SmallResidual(), "mixer", SubspaceAttention, [1])
    assert count_blocks(grafted, SubspaceAttention) == 2  # not the one that widens


def test_a_run_of_sums_becomes_one_block() -> None:
    grafted = graft(SmallResidual(units=3), "residual", Laurel)
    assert [len(m.layers) for m in grafted.modules() if isinstance(m, Laurel)] == [3, 3, 3]


def test_what_cannot_be_grafted_is_refused() -> None:
    with pytest.raises(LearnError, match="there is no 7"):
        graft(SmallResidual(), "conv", WeightedConvolution, [7])
    with pytest.raises(LearnError, match="could stand in for"):
        graft(SmallResidual(), "mlp", WeightedConvolution)


def test_merging_replaces_blocks_wherever_they_are() -> None:
    grafted = graft(SmallResidual(), "conv", WeightedConvolution)
    merge(grafted.eval())
    assert count_blocks(grafted, WeightedConvolution) == 0


def test_cost_is_counted_by_hand() -> None:
    layer = nn.Conv2d(3, 5, 3, padding=1)
    assert count_parameters(layer) == 5 * 3 * 9 + 5
    layer.bias.requires_grad_(False)
    assert count_parameters(layer) == 5 * 3 * 9
    assert count_parameters(layer, learned=False) == 5 * 3 * 9 + 5
    assert count_flops(layer, torch.zeros(1, 3, 8, 10)) == 2 * 5 * 3 * 9 * 80
    assert largest_tensor(lambda: torch.zeros(4, 5) @ torch.zeros(5, 30)) == 5 * 30
