"""Products in one space: what a vector depends on, the loss against a loop, and training."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from torch.nn import functional  # noqa: E402

from glocal.errors import LearnError  # noqa: E402
from glocal.learn.products import PAGE, STREAM, VIDEO, CrossDomainProducts  # noqa: E402
from glocal.learn.saved_part import load_part, save_part  # noqa: E402
from glocal.registry import part  # noqa: E402

IMAGE, TEXT = 10, 6


def products(**options: object) -> CrossDomainProducts:
    torch.manual_seed(0)
    sizes = {"dim": 16, "heads": 2, "dropout": 0.0, "products": 4} | options
    return part("query", "cope").load()(IMAGE, TEXT, **sizes).eval()


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_vectors_have_unit_length_in_each_domain() -> None:
    made = products()
    for domain in (PAGE, VIDEO, STREAM):
        found = made(domain, drawn(3, 2, IMAGE), drawn(3, TEXT))
        assert torch.allclose(found.norm(dim=1), torch.ones(3), atol=1e-5)


def test_frames_have_no_order_and_padding_says_nothing() -> None:
    made, frames = products(), drawn(3, 4, IMAGE)
    found = made(VIDEO, frames)
    assert torch.allclose(found, made(VIDEO, frames.flip(1)), atol=1e-5)
    padded = torch.cat([frames, 9 * drawn(3, 2, IMAGE, seed=1)], 1)
    present = torch.tensor([[True] * 4 + [False] * 2] * 3)
    assert torch.allclose(found, made(VIDEO, padded, present=present), atol=1e-5)


def test_a_text_that_is_not_there_says_nothing() -> None:
    made, frames = products(), drawn(2, 1, IMAGE)
    silent, spoken = made(PAGE, frames), made(PAGE, frames, drawn(2, TEXT))
    found = made(PAGE, frames, drawn(2, TEXT), said=torch.tensor([False, True]))
    assert torch.allclose(found[0], silent[0], atol=1e-5)
    assert torch.allclose(found[1], spoken[1], atol=1e-5)
    assert not torch.allclose(silent, spoken, atol=1e-3)


@pytest.mark.parametrize("count", [0, 4])
def test_the_loss_equals_a_loop(count: int) -> None:
    made, numbers = products(products=count), torch.tensor([2, 0, 2])
    vectors = {d: functional.normalize(drawn(3, 16, seed=d), dim=1) for d in (PAGE, VIDEO, STREAM)}
    expected = 0.0
    for one, other in combinations(vectors, 2):
        for first, second in ((one, other), (other, one)):
            for row, product in zip(vectors[first], numbers, strict=True):
                logs = torch.log_softmax(vectors[second] @ row / 0.07, 0)
                expected -= float(logs[numbers == product].mean()) / 3
    for each in vectors.values() if count else ():
        for row, product in zip(each, numbers, strict=True):
            proxies = functional.normalize(made.proxies.detach(), dim=1)
            expected -= float(torch.log_softmax(proxies @ row / 0.07, 0)[product]) / 3
    assert made.loss(vectors, numbers).item() == pytest.approx(expected, rel=1e-4)


def test_trained_pages_find_frames_that_look_otherwise() -> None:
    """Videos show products through a fixed random map, streams through another one."""
    made, random = products(products=0), np.random.default_rng(0)
    looks, words = drawn(12, IMAGE, seed=1), drawn(12, TEXT, seed=2)
    turned = {VIDEO: drawn(IMAGE, IMAGE, seed=3), STREAM: drawn(IMAGE, IMAGE, seed=4)}

    def shown(domain: int) -> torch.Tensor:
        noise = torch.from_numpy(random.normal(0, 0.3, (12, 3, IMAGE)).astype(np.float32))
        return (looks @ turned[domain])[:, None] + noise

    def share(domain: int) -> float:
        with torch.no_grad():
            scores = made(PAGE, looks[:, None], words) @ made(domain, shown(domain)).T
        return float((scores.argmax(1) == torch.arange(12)).float().mean())

    before = [share(domain) for domain in turned]
    optimizer = torch.optim.Adam(made.parameters(), lr=3e-3)
    for _ in range(80):
        vectors = {domain: made(domain, shown(domain)) for domain in turned}
        vectors[PAGE] = made(PAGE, looks[:, None], words)
        loss = made.loss(vectors, torch.arange(12))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert max(before) < 0.5
    assert min(share(domain) for domain in turned) > 0.8


def test_a_saved_one_answers_the_same(tmp_path: Path) -> None:
    made, frames = products(), drawn(2, 3, IMAGE)
    save_part(made, tmp_path / "cope.pt")
    found = load_part(CrossDomainProducts, tmp_path / "cope.pt")
    assert torch.equal(found(STREAM, frames), made(STREAM, frames))


def test_what_does_not_fit_is_refused() -> None:
    made, frames = products(), drawn(2, 3, IMAGE)
    with pytest.raises(LearnError, match="there is no domain 3"):
        made(3, frames)
    with pytest.raises(LearnError, match=r"frames are \(2, 3, 9\); give \(b, f, 10\)"):
        made(VIDEO, frames[..., :9])
    with pytest.raises(LearnError, match=r"texts are \(1, 6\); give \(2, 6\)"):
        made(PAGE, frames, drawn(1, TEXT))
    with pytest.raises(LearnError, match="has no frame"):
        made(VIDEO, frames, present=torch.zeros(2, 3, dtype=torch.bool))
    with pytest.raises(LearnError, match="one domain only"):
        made.loss({PAGE: drawn(2, 16)}, torch.arange(2))
    with pytest.raises(LearnError, match="make no model"):
        products(heads=3)
