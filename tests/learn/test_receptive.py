from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny  # noqa: E402
from torch import nn  # noqa: E402

from glocal.learn.contracts import Backbone, Level  # noqa: E402
from glocal.learn.receptive import centres, measured_offsets, picked_centres  # noqa: E402


class Padded(Backbone):
    """One strided layer and what may come around it."""

    def __init__(self, *layers, stride):
        super().__init__()
        self.stages = nn.ModuleList([nn.Sequential(*layers)])
        self.levels = (Level(stride, 4, 0.0),)

    def normalise(self, image):
        return image


@pytest.mark.parametrize(
    ("layers", "stride", "expected"),
    [
        ([nn.Conv2d(3, 4, 3, padding=1)], 1, 0.5),
        ([nn.Conv2d(3, 4, 4, stride=4)], 4, 2.0),
        ([nn.Conv2d(3, 4, 3, stride=2, padding=1)], 2, 0.5),
        ([nn.ZeroPad2d((0, 1, 0, 1)), nn.Conv2d(3, 4, 3, stride=2)], 2, 1.5),
        ([nn.ZeroPad2d((1, 2, 1, 2)), nn.Conv2d(3, 4, 5, stride=2)], 2, 1.5),
        (
            [
                nn.Conv2d(3, 4, 7, stride=2, padding=3),
                nn.ReLU(),
                nn.MaxPool2d(3, stride=2, padding=1),
            ],
            4,
            0.5,
        ),
        ([nn.Conv2d(3, 4, 2, stride=2), nn.GroupNorm(2, 4), nn.GELU(), nn.MaxPool2d(2)], 4, 2.0),
    ],
)
def test_offsets_of_known_layers(layers, stride, expected):
    assert measured_offsets(Padded(*layers, stride=stride)) == [expected]


def test_measuring_offsets_does_not_change_the_backbone():
    tiny = Tiny()
    before = {k: v.clone() for k, v in tiny.state_dict().items()}
    measured_offsets(tiny)
    assert all(torch.equal(v, before[k]) for k, v in tiny.state_dict().items())
    assert tiny.training


def test_cells_become_fractions_of_the_image():
    level = Level(16, 4, 15.5)
    feature_map = torch.zeros(2, 4, 5, 7)
    places = torch.tensor([[0, 6, 34], [7, 8, 33]])
    found = picked_centres(level, places, feature_map)
    for b in range(2):
        for i in range(3):
            row, column = divmod(int(places[b, i]), 7)
            expected = [(column * 16 + 15.5) / 112, (row * 16 + 15.5) / 80]
            assert found[b, i].tolist() == pytest.approx(expected)


def test_centres_stay_within_the_image():
    level = Level(8, 4, 12.0)
    assert centres(level, torch.arange(4.0), 4).tolist() == pytest.approx(
        [12 / 32, 20 / 32, 28 / 32, 1]
    )
