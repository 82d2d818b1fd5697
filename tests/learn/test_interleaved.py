"""The interface of interleaved queries: who may see whom, its sums against loops, and training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from torch.nn import functional  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.interleaved import InterleavedInterface  # noqa: E402
from glocal.learn.saved_part import load_part, save_part  # noqa: E402
from glocal.registry import part  # noqa: E402

CHANNELS, TEXT = (5, 7), 6


def interface(**options: object) -> InterleavedInterface:
    torch.manual_seed(0)
    sizes = {"dim": 8, "width": 16, "heads": 2, "dropout": 0.0} | options
    made = part("query", "find").load()(CHANNELS, TEXT, **sizes)
    return made.eval()


def maps(count: int, seed: int = 0, side: int = 4) -> list[torch.Tensor]:
    drawn = torch.Generator().manual_seed(seed)
    sides = (side, side // 2)
    return [
        torch.randn(count, c, s, s, generator=drawn) for c, s in zip(CHANNELS, sides, strict=True)
    ]


def texts(count: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(count, TEXT, generator=torch.Generator().manual_seed(seed))


def test_what_is_indexed_has_unit_length_and_the_resolution_of_the_finest_map() -> None:
    vectors, cells = interface().gallery(maps(3))
    assert vectors.shape == (3, 8)
    assert cells.shape == (3, 4, 4, 8)
    for each in (vectors, cells):
        assert torch.allclose(each.norm(dim=-1), torch.ones(each.shape[:-1]), atol=1e-5)


def test_other_images_of_the_batch_say_nothing_of_one() -> None:
    made, given = interface(), maps(3)
    alone = made.gallery([each[1:2] for each in given])
    for one, joined in zip(alone, made.gallery(given), strict=True):
        assert torch.allclose(one[0], joined[1], atol=1e-5)


def test_an_entity_means_the_same_alone_and_beside_others() -> None:
    made = interface()
    prompts = torch.stack([made.said(texts(2)), made.said(texts(2, seed=1))], dim=1)
    query, entities = made.queries(prompts)
    first, alone = made.queries(prompts[:, :1])
    assert torch.allclose(alone[:, 0], entities[:, 0], atol=1e-5)
    assert not torch.allclose(first, query, atol=1e-2)


def test_padding_changes_nothing_and_order_says_nothing() -> None:
    made = interface()
    prompts = torch.stack([made.said(texts(2)), made.said(texts(2, seed=1))], dim=1)
    present = torch.tensor([[True, False], [True, False]])
    padded, _ = made.queries(prompts, present)
    assert torch.allclose(padded, made.queries(prompts[:, :1])[0], atol=1e-5)
    assert torch.allclose(made.queries(prompts)[0], made.queries(prompts.flip(1))[0], atol=1e-5)


def test_what_is_shown_is_the_mean_of_the_cells_weighed_by_the_mask() -> None:
    made, given = interface(), maps(2)
    masks = torch.rand(2, 4, 4, generator=torch.Generator().manual_seed(2))
    cells = torch.zeros(2, 4, 4, 16)
    for each, project in zip(given, made.from_maps, strict=True):
        projected = project(each.permute(0, 2, 3, 1)).permute(0, 3, 1, 2)
        size = {"size": (4, 4), "mode": "bilinear", "align_corners": False}
        cells += functional.interpolate(projected, **size).permute(0, 2, 3, 1)
    for number, found in enumerate(made.shown(given, masks)):
        total = torch.zeros(16)
        for row in range(4):
            for column in range(4):
                total += masks[number, row, column] * cells[number, row, column]
        expected = total / masks[number].sum() + made.kinds[1]
        assert torch.allclose(found, expected, atol=1e-5)


def test_masks_are_the_cosines_of_entities_and_cells() -> None:
    made = interface()
    _, cells = made.gallery(maps(2))
    _, entities = made.queries(made.said(texts(2))[:, None])
    found = made.masks(entities, cells).detach()
    assert found.shape == (2, 1, 4, 4)
    for number in range(2):
        cosine = (entities[number, 0] @ cells[number, 3, 1]).item()
        expected = cosine * made.sharpness.item() + made.bias.item()
        assert found[number, 0, 3, 1].item() == pytest.approx(expected, abs=1e-4)


def test_the_loss_equals_a_loop() -> None:
    made = interface()
    images = made.gallery(maps(3))
    queries = made.queries(made.said(texts(3))[:, None])
    answers = torch.tensor([[1, 0, 1], [0, 1, 0], [1, 0, 1]], dtype=torch.bool)
    covered = (torch.rand(3, 1, 4, 4, generator=torch.Generator().manual_seed(3)) > 0.5).float()
    found = made.loss(images, queries, answers, covered).item()
    logits = (queries[0] @ images[0].T / 0.07).detach().numpy().astype(np.float64)
    expected = 0.0
    for table, right in ((logits, answers.numpy()), (logits.T, answers.numpy().T)):
        for row, good in zip(table, right, strict=True):
            logs = row - np.log(np.exp(row).sum())
            expected -= logs[good].mean() / 3
    share = torch.sigmoid(made.masks(queries[1], images[1])).detach().numpy().astype(np.float64)
    true = covered.numpy()
    expected += 2 * -(true * np.log(share) + (1 - true) * np.log(1 - share)).mean()
    for one, other in zip(share[:, 0], true[:, 0], strict=True):
        expected += (1 - (2 * (one * other).sum() + 1) / (one.sum() + other.sum() + 1)) / 3
    assert found == pytest.approx(expected, rel=1e-4)


def test_it_learns_which_images_have_what_is_said_and_where() -> None:
    made, random = interface(), np.random.default_rng(0)
    kinds, words = torch.eye(4, CHANNELS[0]), torch.eye(4, TEXT)
    fine, coarse = maps(48)
    things = torch.from_numpy(random.integers(4, size=48))
    covered = torch.zeros(48, 1, 4, 4)
    for number, thing in enumerate(things):
        row, column = random.integers(3, size=2)
        covered[number, 0, row : row + 2, column : column + 2] = 1
        fine[number, :, row : row + 2, column : column + 2] += 4 * kinds[thing][:, None, None]
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    answers = things[:, None] == things[None]
    for _ in range(100):
        queries = made.queries(made.said(words[things])[:, None])
        loss = made.loss(made.gallery([fine, coarse]), queries, answers, covered)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        vectors, cells = made.gallery([fine, coarse])
        asked, entities = made.queries(made.said(words)[:, None])
        right = things[(asked @ vectors.T).argmax(1)] == torch.arange(4)
        found = made.masks(entities[things], cells) > 0
    assert right.all()
    overlap = (found & (covered > 0)).sum() / (found | (covered > 0)).sum()
    assert float(overlap) > 0.7  # all cells for each would be .25


def test_a_saved_one_answers_the_same(tmp_path: Path) -> None:
    made = interface()
    save_part(made, tmp_path / "find.pt")
    found = load_part(InterleavedInterface, tmp_path / "find.pt")
    for one, other in zip(made.gallery(maps(2)), found.gallery(maps(2)), strict=True):
        assert torch.equal(one, other)


def test_what_is_no_interface_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LearnError, match="no checkpoint"):
        load_part(InterleavedInterface, tmp_path / "none.pt")
    (tmp_path / "text.pt").write_text("not a file of weights")
    with pytest.raises(LearnError, match="cannot be read"):
        load_part(InterleavedInterface, tmp_path / "text.pt")
    made = interface()
    made.name = "another"
    save_part(made, tmp_path / "another.pt")
    with pytest.raises(LearnError, match="'another', not 'find'"):
        load_part(InterleavedInterface, tmp_path / "another.pt")
    made = interface()
    made.settings["dim"] = 9
    save_part(made, tmp_path / "damaged.pt")
    with pytest.raises(LearnError, match="does not fit this version"):
        load_part(InterleavedInterface, tmp_path / "damaged.pt")


def test_what_does_not_fit_is_refused() -> None:
    made = interface()
    with pytest.raises(LearnError, match=r"feature maps have \[5\] channels.*\[5, 7\]"):
        made.gallery(maps(1)[:1])
    with pytest.raises(LearnError, match="vectors of texts have 5 numbers"):
        made.said(torch.zeros(1, 5))
    with pytest.raises(LearnError, match="do not fit cells"):
        made.shown(maps(1), torch.ones(1, 2, 2))
    with pytest.raises(LearnError, match="a mask is empty"):
        made.shown(maps(2), torch.zeros(2, 4, 4))
    with pytest.raises(LearnError, match="heads of a width of 16 make no interface"):
        interface(heads=3)
