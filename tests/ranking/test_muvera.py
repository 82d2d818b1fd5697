"""Fixed-dimension encodings against loops over cells, and how near they come to MaxSim."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.errors import RankingError
from glocal.ranking import muvera
from glocal.ranking.maxsim import max_similarity
from glocal.ranking.muvera import FixedEncoding

properties = settings(max_examples=40, deadline=None, derandomize=True)


def locals_of(random, m, e=16):
    rows = random.normal(size=(m, e))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def scenes(seed, documents, queries, e=24, things=60, noise=0.5):
    """Images of 20 to 60 descriptors, each a noisy view of one of a few dozen objects."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(things, e))
    made = []
    for _ in range(documents + queries):
        kinds = random.choice(things, 12, replace=False)
        rows = centres[random.choice(kinds, random.integers(20, 60))]
        rows = rows + noise * random.normal(size=rows.shape)
        made.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    return made[:documents], made[documents:]


def slow_encodings(encoding, descriptors):
    """The query's and the document's encoding, cell by cell."""
    normals, signs = muvera._drawn(encoding)
    planes, width = encoding.planes, encoding.width or encoding.descriptor_dim
    query, document = [], []
    for repetition in range(encoding.repetitions):
        own = normals[:, repetition * planes : (repetition + 1) * planes]
        sides = [tuple(row @ own > 0) for row in descriptors]
        if signs is None:
            projected = list(descriptors)
        else:
            projected = list(descriptors @ signs[:, repetition * width : (repetition + 1) * width])
        for cell in range(1 << planes):
            bits = tuple(bool(cell >> bit & 1) for bit in range(planes))
            inside = [row for row, side in zip(projected, sides, strict=True) if side == bits]
            total = np.sum(inside, axis=0) if inside else np.zeros(width)
            query.append(total / (encoding.repetitions * max(1, len(descriptors))))
            apart = [sum(a != b for a, b in zip(side, bits, strict=True)) for side in sides]
            closest = [p for p, far in zip(projected, apart, strict=True) if far == min(apart)]
            document.append(np.mean(closest, axis=0) if closest else np.zeros(width))
    return np.concatenate(query), np.concatenate(document)


@properties
@given(
    seed=st.integers(0, 2**32 - 1),
    m=st.integers(0, 12),
    repetitions=st.integers(1, 4),
    planes=st.integers(1, 4),
    width=st.sampled_from([None, 3, 8]),
)
def test_encodings_agree_with_the_slow_reference(seed, m, repetitions, planes, width):
    encoding = FixedEncoding(16, repetitions=repetitions, planes=planes, width=width, seed=3)
    local = locals_of(np.random.default_rng(seed), m)
    query, document = slow_encodings(encoding, local)
    assert query.shape == (encoding.dim,)
    np.testing.assert_allclose(encoding.encode_query(local), query, atol=1e-5)
    np.testing.assert_allclose(encoding.encode_documents([local])[0], document, atol=1e-5)


def test_the_inner_product_comes_near_max_similarity():
    """Never above it, and in nearly the same order."""
    documents, queries = scenes(1, 150, 15)
    encoding = FixedEncoding(24, repetitions=20, planes=4)
    encoded = encoding.encode_documents(documents)
    for query in queries:
        exact = max_similarity(query, documents)
        near = encoded @ encoding.encode_query(query)
        assert np.corrcoef(near, exact)[0, 1] > 0.8
        assert (near <= exact + 1e-5).all()  # an average is no higher than the best


def test_the_default_finds_what_max_similarity_puts_first():
    documents, queries = scenes(3, 300, 20)
    encoding = FixedEncoding(24)
    encoded = encoding.encode_documents(documents)
    found = 0
    for query in queries:
        best = np.argmax(max_similarity(query, documents))
        found += best in np.argsort(-(encoded @ encoding.encode_query(query)))[:30]
    assert found >= 17


def test_longer_encodings_come_nearer():
    documents, queries = scenes(5, 150, 10)

    def likeness(repetitions):
        encoding = FixedEncoding(24, repetitions=repetitions)
        encoded = encoding.encode_documents(documents)
        return np.mean(
            [
                np.corrcoef(encoded @ encoding.encode_query(q), max_similarity(q, documents))[0, 1]
                for q in queries
            ]
        )

    assert likeness(1) + 0.05 < likeness(8) < likeness(40)


def test_a_small_region_of_a_big_image_is_found():
    """Six descriptors of the query among sixty others: an average of all would hide them."""
    random = np.random.default_rng(7)
    documents = [locals_of(random, 60, 48) for _ in range(200)]
    query = documents[123][40:46] + 0.05 * random.normal(size=(6, 48))
    encoding = FixedEncoding(48, repetitions=20, planes=4)
    scores = encoding.encode_documents(documents) @ encoding.encode_query(query)
    assert np.argmax(max_similarity(query, documents)) == 123
    assert 123 in np.argsort(-scores)[:20]


@properties
@given(seed=st.integers(0, 2**32 - 1), m=st.integers(1, 12))
def test_the_order_of_descriptors_does_not_matter(seed, m):
    random = np.random.default_rng(seed)
    local = locals_of(random, m)
    shuffled = local[random.permutation(m)]
    encoding = FixedEncoding(16, width=8)
    np.testing.assert_allclose(
        encoding.encode_query(shuffled), encoding.encode_query(local), atol=1e-5
    )
    np.testing.assert_allclose(
        encoding.encode_documents([shuffled]), encoding.encode_documents([local]), atol=1e-5
    )


def test_encodings_are_the_same_everywhere():
    """Stored encodings outlive a version of NumPy: these numbers may never change."""
    local = np.eye(4, dtype=np.float32)[:3]
    encoding = FixedEncoding(4, repetitions=2, planes=1, width=2, seed=11)
    normals, signs = muvera._drawn(encoding)
    np.testing.assert_allclose(normals[0], [1.7494547, -0.2860730], atol=1e-6)
    np.testing.assert_allclose(signs[0] * math.sqrt(2), [-1, 1, 1, 1], atol=1e-6)
    again = FixedEncoding(4, repetitions=2, planes=1, width=2, seed=11)
    np.testing.assert_array_equal(again.encode_query(local), encoding.encode_query(local))
    other = FixedEncoding(4, repetitions=2, planes=1, width=2, seed=12)
    assert not np.allclose(other.encode_query(local), encoding.encode_query(local))


def test_images_without_descriptors_are_valid():
    encoding = FixedEncoding(16)
    nothing = np.empty((0, 16), np.float32)
    assert not encoding.encode_query(nothing).any()
    assert encoding.encode_documents([]).shape == (0, encoding.dim)
    documents = [nothing, locals_of(np.random.default_rng(0), 3)]
    encoded = encoding.encode_documents(documents)
    assert not encoded[0].any()
    assert encoded[1].any()


@pytest.mark.parametrize(
    ("settings_", "words"),
    [
        ({"descriptor_dim": 0}, "descriptor_dim must be"),
        ({"descriptor_dim": 8, "repetitions": 0}, "repetitions must be"),
        ({"descriptor_dim": 8, "planes": 1.5}, "planes must be"),
        ({"descriptor_dim": 8, "planes": 11}, "too long"),
        ({"descriptor_dim": 48, "repetitions": 10_000, "planes": 8}, "too long"),
        ({"descriptor_dim": 8, "width": 0}, "width must be"),
    ],
)
def test_impossible_encodings_are_refused(settings_, words):
    with pytest.raises(RankingError, match=words):
        FixedEncoding(**settings_)


def test_descriptors_of_another_model_are_refused():
    encoding = FixedEncoding(16)
    with pytest.raises(RankingError, match=r"have 8 numbers each.*made for 16"):
        encoding.encode_query(np.ones((2, 8)))
    with pytest.raises(RankingError, match="document 1 have 8 numbers"):
        encoding.encode_documents([np.ones((2, 16)), np.ones((2, 8))])
    with pytest.raises(RankingError, match="document 0 hold nan"):
        encoding.encode_documents([np.full((2, 16), np.nan)])
