"""Network in network: each convolution is followed by a small network at every place."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from glocal.learn.contracts import Backbone, Level
from glocal.learn.weights import load_if_given

# Width, kernel, stride and padding of the convolution of each MLP-convolution layer.
_LAYERS = ((96, 11, 4, 4), (256, 5, 1, 2), (384, 3, 1, 1), (1024, 3, 1, 1))
_MEAN, _SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class MlpConvolution(nn.Sequential):
    """A convolution, and a multilayer perceptron of two layers at every place of its output.

    ``f3 = relu(W3 relu(W2 relu(W1 * x + b1) + b2) + b3)``: the perceptron is two 1x1 convolutions,
    and so is shared by all places (Lin, Chen and Yan, 2014).

    Args:
        width: channels of the input.
        out: channels of all three layers.
        kernel: side of the convolution's kernel.
        stride: its stride.
        padding: its padding.
    """

    def __init__(self, width: int, out: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__(
            nn.Conv2d(width, out, kernel, stride, padding),
            nn.ReLU(),
            nn.Conv2d(out, out, 1),
            nn.ReLU(),
            nn.Conv2d(out, out, 1),
            nn.ReLU(),
        )


class Nin(Backbone):
    """Network in network (Lin, Chen and Yan, 2014), in its size for ImageNet.

    Four MLP-convolution layers with poolings between them; the features of the last are averaged
    over the whole map, which is the head `average`, where the paper has one map for each class. The
    paper has sizes for small images; the widths of the size for ImageNet are those that the authors
    published later (7.6 M parameters with a classifier of 1,000 classes).

    Deviations: no dropout; the first convolution is padded by 4 and the poolings by 1, so that
    feature maps have exact strides; weights start as He et al. (2015) do, since the paper's start
    does not train without its schedule.

    Args:
        weights: ``none`` for random ones, or a file; see `glocal.learn.weights.read_weights`.
        width_factor: factor of all widths; `tiny` has an eighth.
    """

    def __init__(self, *, weights: str = "none", width_factor: float = 1.0) -> None:
        super().__init__()
        widths = [max(8, round(layer[0] * width_factor)) for layer in _LAYERS]
        layers = [
            MlpConvolution(before, width, *layer[1:])
            for before, width, layer in zip([3, *widths], widths, _LAYERS, strict=False)
        ]
        pools = [nn.MaxPool2d(3, 2, 1) for _ in range(3)]
        self.stages = nn.ModuleList(
            [
                nn.Sequential(layers[0], pools[0]),
                nn.Sequential(layers[1], pools[1]),
                nn.Sequential(layers[2], pools[2], layers[3]),
            ]
        )
        # Half a pixel, and one more for the padding of 4 where 5 would be even.
        self.levels = tuple(
            Level(stride, width, 1.5)
            for stride, width in zip((8, 16, 32), (*widths[:2], widths[3]), strict=True)
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
        for name, values in (("mean", _MEAN), ("spread", _SPREAD)):
            shaped = torch.tensor(values).reshape(1, 3, 1, 1)
            self.register_buffer(name, shaped, persistent=False)
        load_if_given(self, weights)

    @classmethod
    def tiny(cls) -> Nin:
        """The preset for small data: an eighth of the widths, 0.1 M parameters."""
        return cls(width_factor=1 / 8)

    def normalise(self, image: Tensor) -> Tensor:
        """Shift and scale pixels in [0, 1] by ImageNet's mean and spread."""
        return (image - self.get_buffer("mean")) / self.get_buffer("spread")
