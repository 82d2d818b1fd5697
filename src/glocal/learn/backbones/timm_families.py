"""Published families of backbones that timm has, each under the name of its paper.

``timm:NAME`` takes any size of them; the class is the size that is trained when only the family
is named, with its paper, what timm does otherwise, and a preset for small data.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, ClassVar, Self

from torch import nn

from glocal.learn.backbones.timm_model import TimmBackbone
from glocal.learn.timm_package import import_timm


class TimmFamily(TimmBackbone):
    """A family of networks of timm.

    Args:
        weights: ``imagenet`` for timm's weights, ``none`` for random ones.
        model: timm's name of the size; None for the family's `default`.
        options: further arguments of ``timm.create_model``.

    Attributes:
        default: timm's name of the size that the family's name stands for.
        published: sizes by timm's name with their published millions of parameters, classifier
            for 1,000 classes included.
        small: what makes the preset for small data, of at most a million parameters, of a model.
    """

    default: ClassVar[str]
    published: ClassVar[dict[str, float]]
    small: ClassVar[dict[str, Any]]

    def __init__(
        self, *, weights: str = "imagenet", model: str | None = None, **options: Any
    ) -> None:
        super().__init__(model or self.default, weights=weights, **options)

    @classmethod
    def tiny(cls) -> Self:
        """The preset for small data, with random weights."""
        return cls(weights="none", **cls.small)


class ResNeSt(TimmFamily):
    """ResNeSt (Zhang et al., Split-Attention Networks, 2020).

    A block has ``K`` cardinal groups of ``R`` branches ``U_r``. From their sum, averaged over the
    map, two 1x1 convolutions compute a weight for each branch and channel, the branches' softmax
    ``a_r``, and the group's output is ``sum_r a_r U_r``.

    Deviations: none known; timm has the authors' weights.
    """

    default = "resnest50d"
    published: ClassVar = {"resnest50d": 27.5, "resnest101e": 48.3, "resnest200e": 70.2}
    small: ClassVar = {"model": "resnest14d", "channels": (8, 16, 24, 32), "stem_width": 8}


class Dla(TimmFamily):
    """Deep layer aggregation (Yu, Wang, Shelhamer and Darrell, 2018).

    Stages are trees of blocks: a root ``N(x_1, ..., x_n) = relu(BN(sum_i W_i x_i))`` joins the
    outputs of the blocks below it (hierarchical aggregation), and from stage to stage the root also
    takes the stage's input. The paper's iterative aggregation, which joins the stages for a fine
    map, is not in timm; `glocal.learn.necks.iterative_aggregation` has it.

    Deviations: timm leaves out projections of the authors' code that nothing reads.
    """

    default = "dla34"
    published: ClassVar = {"dla34": 15.7, "dla60": 22.0, "dla102": 33.3}
    small: ClassVar = {"levels": (1, 1, 1, 2, 2, 1), "channels": (8, 8, 16, 24, 32, 48)}

    def __init__(
        self, *, weights: str = "imagenet", model: str | None = None, **options: Any
    ) -> None:
        super().__init__(weights=weights, model=model, **options)
        for module in self.modules():
            if isinstance(module, nn.MaxPool2d):
                # The same for even sides, and torch.export sees that convolutions agree with it.
                module.ceil_mode = True


class DualPathNetwork(TimmFamily):
    """Dual path networks (Chen, Li, Xiao, Jin, Yan and Feng, 2017).

    A block computes ``[r, d] = F([x_r, x_d])`` from both paths together; the residual path goes on
    as ``x_r + r``, the dense path as the concatenation of ``x_d`` and ``d``.

    Deviations: none known in 92, 98 and 131; timm's 48b and 68 have other stems.
    """

    default = "dpn92"
    published: ClassVar = {  # 145, 236 and 304 MiB of four bytes each
        f"dpn{size}": mebibytes * 2**20 / 4e6
        for size, mebibytes in ((92, 145), (98, 236), (131, 304))
    }
    small: ClassVar = {"model": "dpn48b", "k_r": 32, "groups": 4, "k_sec": (1, 1, 1, 1),
                       "inc_sec": (4, 4, 8, 8)}  # fmt: skip


class HrNet(TimmFamily):
    """HRNet (Wang et al., Deep High-Resolution Representation Learning, 2020).

    Branches of strides 4, 8, 16 and 32 run beside each other, and after each group of blocks every
    branch receives the sum of all: strided 3x3 convolutions on the way down, 1x1 convolutions and
    nearest enlargement on the way up. The map of stride 4 is given too.

    Deviations: none known; as in the authors' classifier, maps are those after one more bottleneck.
    """

    strides = (4, 8, 16, 32)
    default = "hrnet_w18"
    published: ClassVar = {"hrnet_w18": 21.3, "hrnet_w32": 41.2, "hrnet_w48": 77.5}
    small: ClassVar = {"model": "hrnet_w18_small", "cfg_variant": "glocal", "feature_location": ""}

    @classmethod
    def tiny(cls) -> Self:
        """The preset for small data: four branches of one block, without the last bottlenecks."""
        import_timm("the backbone hrnet")

        def stage(branches: int) -> dict[str, Any]:
            widths = (8, 16, 32, 64)[:branches]
            return {"num_modules": 1, "num_branches": branches, "num_blocks": (1,) * branches,
                    "num_channels": widths, "fuse_method": "SUM",
                    "block_type": "BASIC" if branches > 1 else "BOTTLENECK"}  # fmt: skip

        # timm takes widths from a table of its variants only.
        import_module("timm.models.hrnet").cfg_cls["glocal"] = {
            "stem_width": 16, **{f"stage{number}": stage(number) for number in range(1, 5)}
        }  # fmt: skip
        return super().tiny()


class ReXNet(TimmFamily):
    """ReXNet (Han, Yun, Heo and Yoo, Rethinking Channel Dimensions, 2021).

    Inverted bottlenecks whose widths grow linearly with the number of the block, ``16 + 180 i / d``
    times the width factor, where MobileNetV2's grow at few steps; SiLU after the expansion.

    Deviations: none known; timm has the authors' weights.
    """

    default = "rexnet_100"
    published: ClassVar = {"rexnet_100": 4.8, "rexnet_130": 7.6, "rexnet_150": 9.7}
    small: ClassVar = {"width_mult": 0.3, "depth_mult": 0.5}


class InceptionNeXt(TimmFamily):
    """InceptionNeXt (Yu, Zhou, Yan and Wang, 2024).

    ConvNeXt's depthwise 7x7 convolution becomes four branches: an eighth of the channels passes a
    3x3 convolution, an eighth 1x11, an eighth 11x1, and the rest stays as it is.

    Deviations: none known; timm has the authors' weights.
    """

    default = "inception_next_tiny"
    published: ClassVar = {
        "inception_next_tiny": 28.0, "inception_next_small": 49.0, "inception_next_base": 87.0
    }  # fmt: skip
    small: ClassVar = {"dims": (16, 32, 48, 64), "depths": (1, 1, 1, 1),
                       "model": "inception_next_atto"}  # fmt: skip


class GcVit(TimmFamily):
    """GC ViT (Hatamizadeh, Yin, Heinrich, Kautz and Molchanov, Global Context ViTs, 2023).

    Attention within windows, by turns with queries of the window's own tokens and with global
    queries: convolutions and poolings shrink the stage's map to the size of a window, and every
    window uses it as its queries.

    Deviations: none in the network. It takes images of one size, to which others are resized;
    the option ``img_size`` chooses it.
    """

    default = "gcvit_xxtiny"
    published: ClassVar = {
        "gcvit_xxtiny": 12.0, "gcvit_xtiny": 20.0, "gcvit_tiny": 28.0, "gcvit_small": 51.0
    }  # fmt: skip
    small: ClassVar = {"embed_dim": 16, "img_size": 96}


class MaxVit(TimmFamily):
    """MaxViT (Tu et al., Multi-Axis Vision Transformer, 2022).

    A block is an inverted bottleneck, attention within windows of ``P x P`` neighbouring cells, and
    attention within grids of ``G x G`` cells that are spread over the whole map; all three cost
    linearly in the number of cells.

    Deviations: none in the network. Sides have to be multiples of the side that the windows were
    made for, such as 224 pixels (`multiple`). It trains, but torch does not export timm's windows
    for images of any size: its solver of shapes does not come to an end.
    """

    default = "maxvit_tiny_tf_224"
    published: ClassVar = {
        "maxvit_tiny_tf_224": 31.0, "maxvit_small_tf_224": 69.0, "maxvit_base_tf_224": 120.0
    }  # fmt: skip
    small: ClassVar = {"model": "test_maxvit", "img_size": 64}


class ConVit(TimmFamily):
    """ConViT (d'Ascoli et al., Soft Convolutional Inductive Biases, 2021).

    Head ``h`` of the first ten blocks attends by
    ``(1 - sigmoid(l_h)) softmax(Q K^T) + sigmoid(l_h) softmax(v_h^T r)``, where ``r`` is the
    displacement of patches and its squared length. Heads start with ``v_h`` centred on one
    displacement each, as the cells of a convolution's kernel, and the gate ``l_h = 1`` is learned.

    Deviations: none in the network. All maps have stride 16 (the last three blocks'), and images
    are resized to the square that the network was made for; the option ``img_size`` chooses it.
    """

    default = "convit_tiny"
    published: ClassVar = {"convit_base": 86.0}  # of the others it says 6 and 27
    small: ClassVar = {"embed_dim": 12, "depth": 4, "local_up_to_layer": 3, "img_size": 96}


class EfficientViM(TimmFamily):
    """EfficientViM (Lee, Choi and Kim, 2025).

    A map of ``L`` cells is summed into ``N`` hidden states, ``h = x (a B)^T``; gates and the output
    projection mix the channels of the states (the hidden state mixer) instead of the ``L`` tokens,
    and ``y = h C`` gives the map back. The classifier weighs the states of all three stages.

    Deviations: none known; maps have strides 16, 32 and 64. The softmax runs over cells, so its
    learned shift ``A``, one number a state, changes nothing; so it is in the authors' code.
    """

    default = "efficientvim_m1"
    published: ClassVar = {"efficientvim_m1": 6.7, "efficientvim_m2": 13.9, "efficientvim_m3": 16.6}
    small: ClassVar = {"embed_dim": (16, 32, 64)}

    def __init__(
        self, *, weights: str = "imagenet", model: str | None = None, **options: Any
    ) -> None:
        super().__init__(weights=weights, model=model, **options)
        network: Any = self.stages[0]
        network.model.weights = None  # those of the stages in the classifier


class IFormer(TimmFamily):
    """iFormer (Zheng, Integrating ConvNet and Transformer for Mobile Application, 2025).

    Two stages of 7x7 depthwise convolutions, then two that also have single-head modulation
    attention: ``sigmoid(W_g x) * softmax(q k^T) sigmoid(W_v x)``.

    Deviations: none known; timm has the authors' weights.
    """

    default = "iformer_m"
    published: ClassVar = {"iformer_t": 2.9, "iformer_s": 6.5, "iformer_m": 8.9}
    small: ClassVar = {"model": "iformer_t", "dims": (8, 16, 32, 64), "depths": (1, 1, 4, 4),
                       "attn_groups": (0, 0, 1, 1)}  # fmt: skip
