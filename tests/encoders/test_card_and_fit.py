import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made_model import card

from glocal.encoders.card import Card
from glocal.encoders.fit import fit, input_size
from glocal.errors import ModelError

SIZE = {"area": 320 * 320, "multiple": 32, "max_aspect": 4.0}


def read(**changes: object) -> Card:
    return Card.read(json.dumps(card(**changes)), "test.onnx")


def test_a_card_is_read() -> None:
    found = read(name="n", dim=8, input=SIZE)
    assert (found.name, found.dim, found.area, found.multiple) == ("n", 8, 102_400, 32)
    assert found.everything["licence"] == "CC0-1.0"
    assert found.space is None
    assert read(space="colours-v1").space == "colours-v1"


def test_a_card_with_several_areas_has_as_many_scales() -> None:
    assert read(input=SIZE).scales == (1.0,)
    several = {"areas": [102_400, 50_176, 25_600], "multiple": 32, "max_aspect": 4.0}
    found = read(input=several)
    assert found.area == 102_400
    assert found.scales == pytest.approx((1, 0.7, 0.5))


@pytest.mark.parametrize(
    "text",
    [
        "",
        json.dumps(card(input=SIZE | {"areas": []})),
        json.dumps(card(input=SIZE | {"areas": 3})),
        json.dumps(card(input=SIZE | {"areas": [0, 102_400]})),
        json.dumps(card(input=SIZE | {"areas": [102_400, -1]})),
        json.dumps(card(input=SIZE | {"areas": [102_400, 1024]})),
        json.dumps(card(input=SIZE | {"areas": [102_400, 204_800]})),
        json.dumps(card(input=SIZE | {"areas": [102_400] * 5})),
        "[]",
        "{}",
        "null",
        json.dumps(card(dim=0)),
        json.dumps(card(dim="many")),
        json.dumps(card(space="")),
        json.dumps(card(space=3)),
        json.dumps(card(input={})),
        json.dumps(card(input=SIZE | {"multiple": 0})),
        json.dumps(card(input=SIZE | {"area": 10})),
        json.dumps(card(input=SIZE | {"area": 10**12})),
        json.dumps(card(input=SIZE | {"max_aspect": 0.5})),
        json.dumps(card(input=SIZE | {"max_aspect": float("nan")})),
    ],
)
def test_an_error_names_the_model_whose_card_is_invalid(text: str) -> None:
    with pytest.raises(ModelError, match=r"test\.onnx"):
        Card.read(text, "test.onnx")


@given(st.integers(1, 30_000), st.integers(1, 30_000))
def test_the_input_keeps_its_shape_and_size(width: int, height: int) -> None:
    found = read(input=SIZE)
    to_width, to_height = input_size(width, height, found)
    assert to_width % 32 == to_height % 32 == 0
    assert min(to_width, to_height) >= 32
    assert 0.75 < to_width * to_height / found.area < 1.3
    aspect = min(max(width / height, 0.25), 4)
    assert 0.8 < (to_width / to_height) / aspect < 1.25


@pytest.mark.parametrize("shape", [(1, 1), (1, 20_000), (3000, 2), (320, 320), (480, 640)])
def test_every_image_fits(shape: tuple[int, int]) -> None:
    image = np.full((*shape, 3), 77, np.uint8)
    fitted = fit(image, read(input=SIZE))
    width, height = input_size(shape[1], shape[0], read(input=SIZE))
    assert fitted.shape == (1, height, width, 3)
    assert fitted.dtype == np.uint8
    assert (fitted == 77).all()
