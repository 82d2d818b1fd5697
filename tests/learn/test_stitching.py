"""Two encoders are stitched: every route ends in one space, and a budget chooses among them."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.cells import Cells  # noqa: E402
from glocal.learn.heads.gem import Gem  # noqa: E402
from glocal.learn.model import Model  # noqa: E402
from glocal.learn.stitching import Stitched  # noqa: E402
from glocal.trials.zoo import SmallResidual  # noqa: E402


def encoder(widths, dim=5):
    trunk = SmallResidual(widths)
    return Model(trunk, Gem(trunk.levels, dim=dim), Cells(trunk.levels, dim=4, count=1)).eval()


@pytest.fixture
def joined():
    return Stitched(encoder((3, 4, 5)), encoder((4, 6, 8)))


def test_the_first_and_the_last_route_are_the_encoders_themselves(joined):
    image = torch.rand(2, 3, 8, 8)
    assert torch.equal(joined(image, 0), joined.small(image).vector)
    assert torch.equal(joined(image, joined.routes - 1), joined.large(image).vector)
    assert joined.routes == 4


def test_a_route_between_goes_through_its_stitch(joined):
    image = torch.rand(2, 3, 8, 8)
    small, large = joined.small.backbone, joined.large.backbone
    x = small.stages[0](small.normalise(image))
    expected = large.stages[2](large.stages[1](joined.stitches[0](x)))
    assert torch.allclose(joined(image, 2), joined.large.head([expected]).vector, atol=1e-6)


def test_a_fitted_stitch_between_equal_encoders_changes_nothing():
    one = encoder((3, 4, 5))
    joined = Stitched(one, encoder((3, 4, 5)))
    joined.large.load_state_dict(one.state_dict())
    image = torch.rand(30, 3, 16, 16)
    joined.fit(image.split(4))
    for route in range(joined.routes):
        assert torch.allclose(joined(image, route), one(image).vector, atol=1e-3), route


def test_a_fitted_stitch_is_the_least_squares_solution(joined):
    image = torch.rand(6, 3, 8, 8)
    joined.fit(image.split(4))
    a, b = joined.small.backbone(image)[0], joined.large.backbone(image)[0]
    rows = torch.cat([a, torch.ones_like(a[:, :1])], dim=1).permute(0, 2, 3, 1).flatten(0, 2)
    solved = torch.linalg.lstsq(rows.double(), b.permute(0, 2, 3, 1).flatten(0, 2).double())
    best = (rows.double() @ solved.solution - b.permute(0, 2, 3, 1).flatten(0, 2)).square().sum()
    found = (joined.stitches[0](a) - b).double().square().sum()
    assert torch.allclose(found, best, rtol=1e-4)


def test_the_small_projection_starts_as_the_regression_of_the_large_vector(joined):
    image = torch.rand(400, 3, 8, 8)
    before = joined.loss(image, 0, joined.large(image).vector)
    joined.fit(image.split(100))
    after = joined.loss(image, 0, joined.large(image).vector)
    assert after < 0.5 * before


def test_every_route_has_a_name_and_local_features_of_the_large_encoder(joined):
    assert joined.names() == ("small", "switch-2", "switch-1", "large")
    image = torch.rand(2, 3, 8, 8)
    for route in range(joined.routes):
        model = joined.model(route)
        assert torch.equal(model(image).vector, joined(image, route))
        assert model.cells is joined.large.cells
        assert model.features(image)[2].shape == joined.large.features(image)[2].shape


def test_a_frozen_large_encoder_stays_in_evaluation_mode_while_others_learn(joined):
    joined.large.backbone.freeze(3)
    joined.train()
    assert joined.small.backbone.stages[0].training
    joined.model(1)
    assert joined.small.backbone.stages[0].training
    assert not joined.large.backbone.stages[2].training


def test_what_does_not_fit_is_refused(joined):
    with pytest.raises(LearnError, match="routes 0 to 3, not 4"):
        joined(torch.rand(1, 3, 8, 8), 4)
    with pytest.raises(LearnError, match="cannot be stitched"):
        Stitched(encoder((3, 4, 5)), encoder((3, 4, 5), dim=6))
    other = encoder((3, 4, 5))
    other.head = torch.nn.Identity()
    other.head.dim = 5
    with pytest.raises(LearnError, match="does not pool the coarsest feature map"):
        Stitched(encoder((3, 4, 5)), other)
