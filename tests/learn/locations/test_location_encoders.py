"""Every location encoder: shapes, gradients, ONNX; those of the sphere have no seam."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from torch import Tensor, nn

from glocal import registry
from glocal.errors import LearnError
from glocal.learn.locations.fourier import equal_earth
from glocal.learn.locations.harmonics import HarmonicEncoder, spherical_harmonics
from glocal.learn.locations.siren import SirenNet

ENCODERS = registry.names("query", trait="location")
ANY = np.random.default_rng(0)
PLACES = torch.tensor(
    np.stack([ANY.uniform(-90, 90, 40), ANY.uniform(-180, 180, 40)], 1), dtype=torch.float32
)
EXTREMES = torch.tensor([[90.0, 0], [-90, 12], [0, 180], [0, -180], [0, 0]])


def made(name: str, width: int = 5) -> nn.Module:
    torch.manual_seed(0)
    encoder: nn.Module = registry.load("query", name)(width)
    return encoder.eval()


@pytest.mark.parametrize("name", ENCODERS)
def test_every_position_has_a_vector_of_the_width(name: str) -> None:
    encoder = made(name)
    for places in (PLACES, EXTREMES, PLACES[:1]):
        found = encoder(places)
        assert found.shape == (len(places), 5)
        assert found.dtype == torch.float32
        assert found.isfinite().all()
    assert encoder(PLACES).std(0).min() > 1e-4  # places are told apart


@pytest.mark.parametrize("name", ENCODERS)
def test_all_weights_and_the_positions_get_finite_gradients(name: str) -> None:
    encoder = made(name)
    places = torch.cat([PLACES, EXTREMES]).requires_grad_()
    encoder(places).square().sum().backward()
    assert places.grad is not None
    assert places.grad.isfinite().all()
    for weight in encoder.parameters():
        assert weight.grad is not None
        assert weight.grad.abs().sum() > 0


@pytest.mark.parametrize("name", registry.names("query", trait="sphere"))
def test_one_place_has_one_vector_whatever_its_longitude_is_called(name: str) -> None:
    encoder = made(name)
    for latitude in (90.0, -90.0):
        ring = torch.stack([torch.full((9,), latitude), torch.linspace(-180, 180, 9)], 1)
        found = encoder(ring)
        assert torch.allclose(found, found[:1].expand_as(found), atol=1e-4)
    seam = encoder(torch.tensor([[10.0, 180.0], [10.0, -180.0]]))
    assert torch.allclose(seam[0], seam[1], atol=1e-4)


@pytest.mark.parametrize("name", ENCODERS)
def test_its_onnx_file_gives_what_torch_gives_for_any_number(name: str, tmp_path: Path) -> None:
    encoder = made(name)
    if name == "harmonics":
        encoder = HarmonicEncoder(5, degrees=6).eval()  # a graph of a node for each harmonic
    path = tmp_path / "encoder.onnx"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the older exporter takes a tenth of the newer one's time
        torch.onnx.export(
            encoder,
            (PLACES,),
            path,
            dynamo=False,
            input_names=["positions"],
            dynamic_axes={"positions": {0: "n"}},
        )
    session = onnxruntime.InferenceSession(path)
    for places in (PLACES, EXTREMES):
        (found,) = session.run(None, {"positions": places.numpy()})
        assert found == pytest.approx(encoder(places).detach().numpy(), abs=1e-4)


def test_harmonics_are_those_of_the_slow_formula() -> None:
    special = pytest.importorskip("scipy.special")
    places = PLACES.double()
    polar, azimuth = np.radians(90 - places[:, 0].numpy()), np.radians(places[:, 1].numpy())
    columns = []
    for degree in range(9):
        for m in range(-degree, degree + 1):
            value = special.sph_harm_y(degree, abs(m), polar, azimuth) * (-1) ** m
            columns.append(
                value.real if m == 0 else np.sqrt(2) * (value.imag if m < 0 else value.real)
            )
    assert spherical_harmonics(places, 9).numpy() == pytest.approx(np.stack(columns, 1), abs=1e-12)


def test_the_first_harmonics_are_those_of_a_table() -> None:
    places = torch.tensor([[0.0, 0.0], [0.0, 90.0], [90.0, 0.0]], dtype=torch.float64)
    side = np.sqrt(3 / (4 * np.pi))
    expected = [[0.2820948, 0, 0, side], [0.2820948, side, 0, 0], [0.2820948, 0, side, 0]]
    assert spherical_harmonics(places, 2).numpy() == pytest.approx(np.array(expected), abs=1e-7)


def test_too_many_degrees_are_refused() -> None:
    for degrees in (0, 101):
        with pytest.raises(LearnError, match="give 1 to 100"):
            HarmonicEncoder(4, degrees=degrees)


@torch.no_grad()
def test_a_siren_is_its_formula_and_is_spread_alike_in_every_layer() -> None:
    torch.manual_seed(0)
    network = SirenNet(3, 400, 2, layers=3, frequency=20.0)
    rows = torch.rand(500, 3) * 2 - 1
    hidden: Tensor = rows
    for number, layer in enumerate(network.hidden):
        hidden = torch.sin((20.0 if number == 0 else 1.0) * layer(hidden))
        assert float(hidden.std()) == pytest.approx(0.7, abs=0.12)
    assert torch.allclose(network(rows), network.last(hidden))


def test_the_map_is_of_equal_areas() -> None:
    """The Jacobian is the cosine of the latitude, up to one constant."""
    places = PLACES.double()[PLACES[:, 0].abs() < 85].requires_grad_()
    found = equal_earth(places)
    rows = [torch.autograd.grad(found[:, k].sum(), places, retain_graph=True)[0] for k in (0, 1)]
    area = rows[0][:, 1] * rows[1][:, 0] - rows[0][:, 0] * rows[1][:, 1]
    ratio = area / torch.cos(torch.deg2rad(places[:, 0]))
    assert float((ratio.std() / ratio.mean()).detach()) < 1e-4  # its constants have six decimals
    edges = equal_earth(torch.tensor([[0.0, 180.0], [90.0, 0.0]]))
    assert edges[0].numpy() == pytest.approx([1.0, 0.0], abs=0.01)
