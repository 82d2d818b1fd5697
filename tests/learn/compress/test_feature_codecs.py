"""What every compressor of features promises: bytes go out, and the same numbers come back."""

from __future__ import annotations

import pytest

pytest.importorskip("torch", reason="networks need torch")
pytest.importorskip("constriction", reason="features are coded by constriction")

import copy

import numpy as np
import torch

from glocal.errors import CompressError
from glocal.learn.compress.entropic_student import EntropicStudent, teach
from glocal.learn.compress.factorized_prior import FactorizedPrior
from glocal.registry import load, names

NAMES = names("compressor", trait="features")
each_codec = pytest.mark.parametrize("name", NAMES)
WIDTH, STRIDE = 5, 8


def made(name: str) -> EntropicStudent:
    torch.manual_seed(0)
    return load("compressor", name)(WIDTH, STRIDE, channels=3, hidden=4)


@pytest.fixture(scope="module")
def taught() -> dict:
    generator = torch.Generator().manual_seed(1)
    images = torch.rand(16, 3, 16, 24, generator=generator)
    found = {}
    for name in NAMES:
        student = made(name)
        wanted = images.mean(dim=1, keepdim=True).unfold(2, 8, 8).unfold(3, 8, 8).mean(dim=(4, 5))
        teach(student, images, wanted.repeat(1, WIDTH, 1, 1), beta=0.01, steps=20)
        found[name] = student, images
    return found


@each_codec
def test_numbers_come_back_exactly(name, taught):
    student, images = taught[name]
    strings = student.send(images)
    assert all(isinstance(each, bytes) for each in strings)
    assert np.array_equal(student.received(strings), student.numbers(images))
    with torch.no_grad():
        assert torch.equal(student.receive(strings), student(images)[0])


@each_codec
def test_another_machine_with_the_same_weights_decodes(name, taught):
    student, images = taught[name]
    server = made(name)
    with pytest.raises(CompressError, match="call fix_prior"):
        server.receive(student.send(images[:1]))
    server.load_state_dict(student.state_dict())
    assert torch.equal(
        server.eval().receive(student.send(images)), student.receive(student.send(images))
    )


@each_codec
def test_extreme_numbers_are_sent_too(name, taught):
    student, images = taught[name]
    student = copy.deepcopy(student)
    with torch.no_grad():
        student.device[-1].weight.mul_(1e4)
    assert np.abs(student.numbers(images)).max() == 63
    assert np.array_equal(student.received(student.send(images)), student.numbers(images))


@each_codec
def test_strings_are_little_longer_than_their_probability_says(name, taught):
    student, images = taught[name]
    large = torch.nn.functional.interpolate(images, scale_factor=8)
    with torch.no_grad():
        bits = student(large)[1]
    for string, expected in zip(student.send(large), bits, strict=True):
        assert 0.98 * float(expected) / 8 <= len(string) <= 1.02 * float(expected) / 8 + 4 + 8


@each_codec
def test_training_lowers_the_loss_and_a_price_lowers_the_bits(name):
    generator = torch.Generator().manual_seed(2)
    images = torch.rand(24, 3, 16, 16, generator=generator)
    wanted = torch.nn.functional.avg_pool2d(images, STRIDE).repeat(1, 2, 1, 1)[:, :WIDTH]
    bits = []
    for beta in (0.0, 10.0):
        student = made(name)
        with torch.no_grad():
            before = float(student.eval().loss(images, wanted, beta))
        teach(student, images, wanted, beta=beta, steps=60, lr=5e-3)
        with torch.no_grad():
            assert float(student.loss(images, wanted, beta)) < before
            bits.append(float(student(images)[1].mean()))
    assert bits[1] < 0.8 * bits[0]


@each_codec
def test_damaged_strings_are_refused(name, taught):
    student, images = taught[name]
    string = student.send(images[:1])[0]
    for wrong in (b"", string[:3], string + b"x", b"\0\0\0\0", b"\xff" * 8):
        with pytest.raises(CompressError, match="send it again"):
            student.received([wrong])
    with pytest.raises(CompressError, match="longer than its image"):
        student.received([string + bytes(range(1, 13))])
    with pytest.raises(CompressError, match="of one size"):
        student.received([string, student.send(images[:1, :, :8])[0]])
    random = np.random.default_rng(0)
    for _ in range(50):  # whatever comes in, nothing but numbers or this error goes out
        noise = string[:4] + random.bytes(4 * int(random.integers(0, 9)))
        try:
            assert np.abs(student.received([noise])).max() <= 63
        except CompressError:
            continue


@each_codec
def test_what_does_not_fit_is_refused(name, taught):
    student, images = taught[name]
    with pytest.raises(CompressError, match="sides that 8 divides"):
        student.send(torch.rand(1, 3, 12, 16))
    with pytest.raises(CompressError, match="power of two"):
        load("compressor", name)(WIDTH, 12)
    with pytest.raises(CompressError, match="at least 1"):
        load("compressor", name)(0, 8)
    with pytest.raises(CompressError, match="use the width and the stride"):
        student.loss(images, torch.zeros(16, WIDTH, 1, 1), 1.0)
    with pytest.raises(CompressError, match="as many maps"):
        teach(student, images, torch.zeros(2, WIDTH, 2, 3), beta=1, steps=1)
    with pytest.raises(CompressError, match="beta at least 0"):
        teach(student, images, torch.zeros(16, WIDTH, 2, 3), beta=-1, steps=1)


def test_the_prior_is_a_distribution_and_says_what_a_slow_one_says():
    torch.manual_seed(0)
    prior = FactorizedPrior(2).double()
    for each in prior.parameters():
        torch.nn.init.normal_(each, std=0.5)
        each.requires_grad_(False)
    table = prior.table(63)
    assert torch.allclose(table.sum(dim=1), torch.ones(2, dtype=torch.double))
    assert float(table.min()) >= 0

    def cumulative(channel: int, x: float) -> float:
        values = [x]
        for number, matrix in enumerate(prior.matrices):
            rows = torch.nn.functional.softplus(matrix[channel]).tolist()
            values = [
                sum(w * v for w, v in zip(row, values, strict=True)) + float(shift)
                for row, shift in zip(rows, prior.shifts[number][channel], strict=True)
            ]
            if number < 3:
                factors = prior.factors[number][channel, :, 0]
                values = [
                    v + float(torch.tanh(f)) * float(torch.tanh(torch.tensor(v)))
                    for v, f in zip(values, factors, strict=True)
                ]
        return float(torch.tensor(values[0]).double().sigmoid())

    for channel in range(2):
        for y in (-2.0, 0.0, 0.7, 3.0):
            found = prior(torch.full((1, 2, 1, 1), y, dtype=torch.double))[0, channel, 0, 0]
            slow = cumulative(channel, y + 0.5) - cumulative(channel, y - 0.5)
            assert float(found) == pytest.approx(slow, abs=1e-6)
