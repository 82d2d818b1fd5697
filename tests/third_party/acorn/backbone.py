"""A backbone of a few thousand parameters."""

from torch import Tensor, nn

from glocal.learn.contracts import Backbone, Level


class Acorn(Backbone):
    """Three convolutions that give maps at strides 8, 16 and 32."""

    def __init__(self, *, weights: str = "none") -> None:
        super().__init__()
        del weights  # there are none to load
        self.stages = nn.ModuleList(
            [_patches(3, 8, 8), _patches(8, 12, 2), _patches(12, 16, 2)],
        )
        self.levels = (Level(8, 8, 4.0), Level(16, 12, 8.0), Level(32, 16, 16.0))

    def normalise(self, image: Tensor) -> Tensor:
        """From [0, 1] to [-1, 1]."""
        return image * 2 - 1


def _patches(width: int, out: int, stride: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(width, out, stride, stride=stride, bias=False), nn.BatchNorm2d(out), nn.ReLU()
    )
