from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny, random_maps  # noqa: E402
from torch.nn import functional  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.contracts import Level, Output  # noqa: E402
from glocal.learn.heads.attentive import Attentive  # noqa: E402
from glocal.learn.heads.delf import Delf, local_level  # noqa: E402
from glocal.learn.heads.delg import Delg  # noqa: E402
from glocal.learn.heads.strongest import pick_strongest  # noqa: E402

LEVELS = Tiny().levels


def test_the_highest_scoring_cells_are_picked_with_their_positions():
    level = Level(16, 3, 15.5)
    features = torch.rand(2, 3, 4, 5)
    scores = torch.rand(2, 4, 5)
    local, places = pick_strongest(level, features, scores, 7)
    for b in range(2):
        cells = [(row, column) for row in range(4) for column in range(5)]
        cells.sort(key=lambda cell: -float(scores[b, cell[0], cell[1]]))
        for i, (row, column) in enumerate(cells[:7]):
            assert float(local.scores[b, i]) == float(scores[b, row, column])
            assert int(places[b, i]) == row * 5 + column
            assert torch.equal(local.descriptors[b, i], features[b, :, row, column])
            x, y = (column * 16 + 15.5) / 80, (row * 16 + 15.5) / 64
            assert local.keypoints[b, i].tolist() == pytest.approx([x, y])
    assert local.scores.shape == (2, 7)
    assert pick_strongest(level, features, scores, 100)[0].scores.shape == (2, 20)


def test_keypoints_find_a_mark_in_the_image():
    # From pixels through a backbone to fractions: the mark is where the keypoint says.
    tiny = Tiny().eval()
    for module in tiny.modules():
        if isinstance(module, torch.nn.Conv2d):
            torch.nn.init.constant_(module.weight, 1 / module.weight[0].numel())
            if module.bias is not None:
                torch.nn.init.zeros_(module.bias)
    tiny.normalise = lambda image: image
    head = Delf(tiny.levels, dim=8).eval()
    first, _, last = head.attentive.score
    torch.nn.init.ones_(first.weight)
    torch.nn.init.ones_(last.weight)
    image = torch.zeros(1, 3, 160, 192)
    x, y = 16 * 5 + 15, 16 * 3 + 15  # the pixel in the middle of cell (5, 3)'s field
    image[:, :, y, x] = 1.0
    keypoint = head(tiny(image)).local.keypoints[0, 0]
    assert keypoint[0].item() * 192 == pytest.approx(x + 0.5, abs=0.01)
    assert keypoint[1].item() * 160 == pytest.approx(y + 0.5, abs=0.01)


@torch.no_grad()
def test_attention_and_codes_are_as_published():
    attentive = Attentive(LEVELS[1], dim=4, count=6, hidden=5)
    x = torch.rand(1, LEVELS[1].width, 3, 4)
    attended = attentive(x)
    first, _, last = attentive.score
    weighted, squares, errors = torch.zeros(LEVELS[1].width), 0.0, 0.0
    found = []
    for row in range(3):
        for column in range(4):
            cell = x[0, :, row, column]
            hidden = (first.weight[:, :, 0, 0] @ cell + first.bias).clamp(min=0)
            strength = torch.log1p(torch.exp(last.weight[0, :, 0, 0] @ hidden + last.bias[0]))
            assert torch.allclose(attended.attention[0, row, column], strength, atol=1e-5)
            code = attentive.encode.weight[:, :, 0, 0] @ cell + attentive.encode.bias
            rebuilt = attentive.decode.weight[:, :, 0, 0] @ code + attentive.decode.bias
            weighted += strength * rebuilt / rebuilt.norm() / 12
            squares += float(cell.square().sum())
            errors += float((rebuilt - cell).square().sum())
            found.append((float(strength), code / code.norm()))
    found.sort(key=lambda pair: -pair[0])
    for i in range(6):
        assert torch.allclose(attended.local.descriptors[0, i], found[i][1], atol=1e-5)
    assert torch.allclose(attended.rebuilt[0], weighted, atol=1e-5)
    assert float(attended.error) == pytest.approx(errors / squares, rel=1e-4)


def test_the_loss_is_the_weighted_sum_of_its_terms():
    attentive = Attentive(LEVELS[1], classes=3, rebuild_weight=10, attention_weight=2)
    rebuilt, labels = torch.randn(4, LEVELS[1].width), torch.tensor([0, 2, 1, 1])
    output = Output(rebuilt, kept={"rebuilt": rebuilt, "error": torch.tensor(0.25)})
    told = functional.cross_entropy(attentive.classify(rebuilt), labels)
    assert torch.allclose(attentive.loss(output, labels), 2.5 + 2 * told)


@pytest.mark.parametrize("classes", [0, 4])
@pytest.mark.parametrize("made", [Delf, Delg])
def test_local_features_send_no_gradient_into_the_backbone(made, classes):
    head = made(LEVELS, dim=8, classes=classes).train()
    maps = [m.requires_grad_() for m in random_maps(LEVELS, 4)]
    output = head(maps)
    head.loss(output, torch.tensor([0, 0, 3, 3])).backward(retain_graph=True)
    assert all(m.grad is None for m in maps)
    attention = [p.grad for p in head.attentive.score.parameters()]
    coder = [head.attentive.encode.weight.grad, head.attentive.decode.weight.grad]
    assert all(g is not None and g.any() for g in [*attention[:2], *coder])
    if made is Delg:
        output.vector[:, 0].sum().backward()
        assert maps[2].grad.any(), "the vector does teach the backbone"
        assert maps[1].grad is None


@pytest.mark.parametrize("classes", [0, 4])
def test_attention_learns_from_labels_where_to_look(classes):
    # One cell of each feature map depends on the label, the others are noise as large.
    random = torch.Generator().manual_seed(3)
    width, telling = 12, torch.randn(4, 12, generator=random)
    attentive = Attentive(Level(16, width, 15.5), dim=6, count=4, hidden=16, classes=classes)
    torch.manual_seed(4)
    optimiser = torch.optim.Adam(attentive.parameters(), lr=0.01)

    def batch():
        labels = torch.arange(16) % 4
        x = torch.randn(16, width, 3, 3, generator=random)
        x[:, :, 1, 2] = telling[labels] * 1.5
        return x, labels

    for _ in range(150):
        x, labels = batch()
        attended = attentive(x)
        loss = attentive.loss(Output(attended.rebuilt, kept=attended.kept()), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    x, _ = batch()
    attention = attentive(x).attention
    elsewhere = (attention.sum(dim=(1, 2)) - attention[:, 1, 2]) / 8
    # A classifier may recognise one label by the absence of the others.
    expected = 0.7 if classes else 0.9
    assert (attention[:, 1, 2] > 2 * elsewhere).float().mean() > expected


def test_the_vector_is_the_weighted_mean_of_unit_features():
    head = Delf(LEVELS, dim=5)
    maps = random_maps(LEVELS, 1, 64, 64)
    attention = head.eval()(maps).attention[0]
    total = torch.zeros(LEVELS[1].width)
    for row in range(4):
        for column in range(4):
            cell = maps[1][0, :, row, column]
            total += attention[row, column] * cell / cell.norm()
    expected = head.whitening(total / total.norm())
    assert torch.allclose(head(maps).vector[0], expected, atol=1e-5)


def test_the_vector_trains_only_the_whitening():
    head = Delf(LEVELS, dim=5)
    head(random_maps(LEVELS)).vector[:, 0].sum().backward()
    taught = [name for name, p in head.named_parameters() if p.grad is not None]
    assert taught == ["whitening.linear.weight", "whitening.linear.bias"]


def test_delg_keeps_the_power_of_its_pooling():
    assert not Delg(LEVELS, dim=8).whole.power.requires_grad


def test_a_single_feature_map_is_enough():
    assert local_level(LEVELS) is LEVELS[1]
    assert local_level(LEVELS[:1]) is LEVELS[0]
    one = random_maps(LEVELS)[2:]
    for made in (Delf, Delg):
        assert made(LEVELS[2:], dim=8).eval()(one).vector.shape == (2, 8)
    with pytest.raises(LearnError, match="no local features"):
        local_level(())
