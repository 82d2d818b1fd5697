"""The combiner of an image and words, against the paper's formula, trained, and exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from torch.nn import functional  # noqa: E402

from glocal.encoders.image_text import CombinerModel  # noqa: E402
from glocal.errors import LearnError  # noqa: E402
from glocal.learn.combiner import Combiner, combiner_loss, export_combiner  # noqa: E402
from glocal.registry import part  # noqa: E402

DIM = 6


def unit(rows: int, seed: int = 0) -> torch.Tensor:
    made = torch.randn(rows, DIM, generator=torch.Generator().manual_seed(seed))
    return functional.normalize(made, dim=-1)


def combiner(**options: object) -> Combiner:
    torch.manual_seed(0)
    sizes = {"projection": 5, "hidden": 7} | options
    return part("query", "combiner").load()(DIM, **sizes)


def test_a_query_is_what_the_formula_says() -> None:
    made, images, texts = combiner().eval(), unit(4), unit(4, seed=1)
    torch.nn.init.normal_(made.output.weight)
    for number, query in enumerate(made(images, texts)):
        image, text = images[number], texts[number]
        t = (made.text.weight @ text + made.text.bias).relu()
        v = (made.image.weight @ image + made.image.bias).relu()
        p = torch.cat([t, v])
        first, last = made.share[0], made.share[3]
        share = torch.sigmoid(last.weight @ (first.weight @ p + first.bias).relu() + last.bias)
        mixed = (made.mixed[0].weight @ p + made.mixed[0].bias).relu()
        expected = made.output.weight @ mixed + made.output.bias + share * text
        expected = expected + (1 - share) * image
        assert torch.allclose(query, expected / expected.norm(), atol=1e-5)


def test_it_starts_as_a_weighed_sum_of_both() -> None:
    images, texts = unit(4), unit(4, seed=1)
    queries = combiner().eval()(images, texts)
    basis = torch.stack([images, texts], dim=2)
    found = torch.linalg.lstsq(basis, queries[..., None]).solution
    assert torch.allclose((basis @ found)[..., 0], queries, atol=1e-4)
    assert (found > 0).all()


def test_the_loss_is_a_cross_entropy_in_which_equal_targets_are_no_negatives() -> None:
    queries, targets = unit(4), unit(4, seed=1)
    logits = 100 * queries @ targets.T
    plain = -(logits.diagonal() - logits.logsumexp(dim=1)).mean()
    assert torch.allclose(combiner_loss(queries, targets), plain, rtol=1e-4)
    logs = logits - logits.logsumexp(dim=1, keepdim=True)
    shared = -(logs[0, [0, 2]].mean() + logs[2, [0, 2]].mean() + logs[1, 1] + logs[3, 3]) / 4
    by_label = combiner_loss(queries, targets, torch.tensor([5, 1, 5, 2]))
    assert torch.allclose(by_label, shared, rtol=1e-4)


def test_training_finds_targets_that_the_sum_does_not() -> None:
    made = combiner(dropout=0.0, projection=32, hidden=64)
    images, texts = unit(32), unit(32, seed=1)
    targets = functional.normalize(images.roll(1, dims=1) - texts, dim=-1)
    optimizer = torch.optim.Adam(made.parameters(), lr=1e-2)
    for _ in range(100):
        loss = combiner_loss(made(images, texts), targets)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    def first(queries: torch.Tensor) -> float:
        return float(((queries @ targets.T).argmax(dim=1) == torch.arange(32)).float().mean())

    assert first(made.eval()(images, texts)) > 0.7
    assert first(images + texts) < 0.3


def test_an_exported_one_computes_the_same(tmp_path: Path) -> None:
    made, image, text = combiner().eval(), unit(1), unit(1, seed=1)
    torch.nn.init.normal_(made.output.weight)
    export_combiner(made, tmp_path / "combiner.onnx")
    expected = made(image, text).detach().numpy()[0]
    found = CombinerModel(tmp_path / "combiner.onnx").combine(image.numpy()[0], text.numpy()[0])
    assert np.allclose(found, expected, atol=1e-5)


def test_impossible_sizes_are_refused() -> None:
    with pytest.raises(LearnError, match="widths of at least 1"):
        Combiner(0)
