"""The parts of long images: where they lie."""

from __future__ import annotations

import numpy as np
import pytest

from glocal.encoders.long_images import cut_out, part_boxes


@pytest.mark.parametrize("size", [(640, 480), (1080, 1920), (2499, 1000)])
def test_usual_images_have_no_parts(size: tuple[int, int]) -> None:
    assert part_boxes(*size, 9).shape == (0, 4)


@pytest.mark.parametrize("size", [(1080, 16000), (5000, 1000), (2500, 1000), (4, 65000)])
@pytest.mark.parametrize("most", [9, 25])
def test_parts_overlap_by_half_from_edge_to_edge(size: tuple[int, int], most: int) -> None:
    boxes = part_boxes(*size, most)
    along, across = (0, 1) if size[0] > size[1] else (1, 0)
    assert 2 <= len(boxes) <= most
    assert np.all(boxes[:, across] == 0)
    assert np.all(boxes[:, 2 + across] == 1)
    starts, lengths = boxes[:, along], boxes[:, 2 + along]
    assert starts[0] == 0
    assert starts[-1] + lengths[-1] == pytest.approx(1)
    assert np.all(starts[:-1] + lengths[:-1] / 2 >= starts[1:] - 1e-6)
    ratio = max(size) / min(size)
    assert lengths[0] * ratio >= 2 - 1e-4
    if ratio <= most + 1:
        assert lengths[0] * ratio == pytest.approx(2)


def test_a_part_is_cut_out_of_an_image_of_any_size() -> None:
    image = np.arange(30 * 100 * 3, dtype=np.uint32).astype(np.uint8).reshape(30, 100, 3)
    cuts = [cut_out(image, box) for box in part_boxes(1000, 300, 9)]
    assert all(cut.shape == (30, 60, 3) for cut in cuts)
    assert np.array_equal(cuts[0], image[:, :60])
    assert np.array_equal(cuts[-1], image[:, 40:])
    for box in part_boxes(900, 1, 9):
        assert cut_out(image[:1, :3], box).size
