"""Vectors and local features in few bytes: compared with slow, obvious references."""

from __future__ import annotations

import math
from contextlib import closing
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glocal.encoders import LocalFeatures
from glocal.errors import GalleryDamagedError
from glocal.gallery import packed_features
from glocal.gallery.database import Database
from glocal.gallery.packed_features import (
    _BOOK,
    MOST_BYTES,
    Form,
    pack,
    small_image,
    unpack,
    unpack_few,
)
from glocal.gallery.records import Attributes, Record
from glocal.gallery.rows import SCHEMA, RowTable
from glocal.gallery.stores import flat, scan
from glocal.gallery.stores.coding import (
    BYTES,
    CODINGS,
    HALVES,
    Coding,
    in_bytes,
    led_by_signs,
)
from glocal.gallery.stores.flat import FlatStore
from glocal.gallery.stores.graph_builder import extend

seeds = st.integers(0, 2**32 - 1)
codings = st.sampled_from([HALVES, BYTES])


def units(seed: int, count: int, dim: int) -> np.ndarray:
    """Unit vectors, some of them with a few large numbers."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, dim)) * rng.exponential(size=(count, dim)) ** 2
    vectors[:, 0] += 1e-3  # never nothing
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def obvious_bytes(vector: np.ndarray) -> list[int]:
    greatest = max(abs(float(value)) for value in vector)
    return [round(127 * float(value) / greatest) for value in vector]


@settings(deadline=None)
@given(seeds, st.integers(1, 40), st.integers(1, 600))
def test_bytes_are_what_the_obvious_way_gives(seed: int, count: int, dim: int) -> None:
    vectors = units(seed, count, dim)
    rows = BYTES.coded(vectors)
    assert rows.nbytes == count * BYTES.row(dim).itemsize == count * (dim + 4)
    for vector, row in zip(vectors, rows, strict=True):
        right = np.array(obvious_bytes(vector))
        # A number in the middle between two bytes may be rounded either way.
        assert np.abs(row[:dim].astype(int) - right).max() <= 1
        assert np.mean(row[:dim] != right) <= 0.02 + 1 / dim
        length = math.sqrt(sum(int(code) ** 2 for code in row[:dim]))
        assert row[dim:].view("<f4")[0] == pytest.approx(1 / length)


@settings(deadline=None)
@given(seeds, st.integers(1, 40), st.integers(1, 600), codings)
def test_no_vector_moves_by_more_than_its_steps_allow(
    seed: int, count: int, dim: int, coding: Coding
) -> None:
    vectors = units(seed, count, dim)
    kept = coding.vectors(coding.coded(vectors))
    moved = np.linalg.norm(kept - vectors, axis=1)
    if coding is BYTES:
        assert np.linalg.norm(kept, axis=1) == pytest.approx(np.ones(count), abs=1e-5)
        # Half a step in each number; bringing the length back to one adds no more than that again.
        half = np.abs(vectors).max(axis=1) / 254
        assert (moved <= 2 * half * math.sqrt(dim) + 1e-6).all()
    else:
        assert (moved <= 2**-11 + 1e-6).all()
    again = coding.coded(kept)
    assert np.array_equal(coding.vectors(again), kept)  # copying loses nothing more


@settings(deadline=None)
@given(seeds, st.integers(1, 60), st.integers(1, 300), codings)
def test_dots_are_those_of_the_vectors_that_are_kept(
    seed: int, count: int, dim: int, coding: Coding
) -> None:
    rows, query = coding.coded(units(seed, count, dim)), units(seed + 1, 1, dim)
    asked = coding.vectors(coding.coded(query))[0]
    right = [sum(float(a) * float(b) for a, b in zip(row, asked, strict=True))
             for row in coding.vectors(rows)]  # fmt: skip
    assert coding.dots(coding.query(query[0]), rows) == pytest.approx(right, abs=2e-3)


@settings(deadline=None, max_examples=30)
@given(seeds, st.integers(1, 9_000), st.sampled_from([64, 128, 512]), codings, st.data())
def test_the_best_rows_are_those_of_comparing_all_as_they_are_kept(
    seed: int, count: int, dim: int, coding: Coding, data: st.DataObject
) -> None:
    rows = coding.coded(units(seed, count, dim))
    (query,) = units(seed + 1, 1, dim)
    share = data.draw(st.sampled_from([0.1, 0.6, 1.0]))
    allowed = np.flatnonzero(np.random.default_rng(seed).random(count) < share)
    limit = data.draw(st.integers(1, 20))
    found, scores = scan.best(query, rows, allowed, limit, coding)
    right = coding.vectors(rows[allowed]) @ query
    order = np.argsort(-right, kind="stable")[:limit]
    assert scores == pytest.approx(right[order], abs=1e-5)
    assert len(set(found.tolist()) - set(allowed.tolist())) == 0


def test_nothing_is_made_of_nothing_and_a_damaged_row_harms_no_other() -> None:
    rows = BYTES.coded(np.concatenate([np.zeros((1, 32), np.float32), units(3, 4, 32)]))
    assert not BYTES.vectors(rows)[0].any()
    rows[2, 32:] = np.array([np.nan], "<f4").view(np.int8)
    (query,) = units(3, 4, 32)[2:3]
    with np.errstate(all="raise"):
        found, scores = scan.best(query, rows, np.arange(5), 5, BYTES)
    assert found[0] == 3
    assert np.isfinite(scores).all()


def test_codings_are_told_by_the_version_and_the_ending() -> None:
    assert [*CODINGS.values()] == [HALVES, BYTES, BYTES, BYTES, BYTES]
    assert [coding.ending for coding in CODINGS.values()] == ["f16", "i8", "i8", "i8", "i8"]
    vectors = units(1, 3, 20)
    assert HALVES.coded(vectors).tobytes() == vectors.astype("<f2").tobytes()


def test_signs_are_those_of_the_bytes() -> None:
    vectors = units(8, 5, 20)
    points = BYTES.points(BYTES.coded(vectors), "signs")
    for vector, point in zip(vectors, points, strict=True):
        codes = obvious_bytes(vector)
        bits = "".join(format(byte, "08b") for byte in point.tolist())
        assert [bit == "1" for bit in bits[:20]] == [code > 0 for code in codes]
    assert BYTES.graph_kind(512) == "signs"
    assert BYTES.graph_kind(256) == "bytes"
    assert in_bytes(vectors).max() == 127


# Local features


def features(seed: int, count: int, dim: int) -> LocalFeatures:
    rng = np.random.default_rng(seed)
    descriptors = units(seed, count, dim) if count else np.zeros((0, dim), np.float32)
    points = rng.random((count, 2)).astype(np.float32)
    return LocalFeatures(points, descriptors, (100 * rng.random(count)).astype(np.float32))


@settings(deadline=None)
@given(
    seeds,
    st.integers(0, 60),
    st.integers(1, 130),
    st.sampled_from(["nibbles", "bytes"]),
    st.binary(),
)
def test_local_features_come_back_within_their_steps(
    seed: int, count: int, dim: int, form: Form, small: bytes
) -> None:
    local = features(seed, count, dim)
    packed = pack(local, small, form=form)
    bits = {"nibbles": 4, "bytes": 8}[form]
    assert len(packed) - len(small) == 5 + count * (6 + math.ceil(dim * bits / 8))
    assert packed[0] == {4: 3, 8: 2}[bits]
    assert small_image(packed) == small
    back = unpack(packed)
    assert back.keypoints == pytest.approx(local.keypoints, abs=1 / 65_535)
    assert back.scores == pytest.approx(local.scores, rel=1e-3, abs=1e-3)
    assert back.descriptors.shape == (count, dim)
    moved = np.linalg.norm(back.descriptors - local.descriptors, axis=1)
    step = np.abs(local.descriptors).max(axis=1, initial=0) / 7 if bits == 4 else 1 / 127
    assert (moved <= step * math.sqrt(dim) + 1e-6).all()


def test_four_bits_are_what_the_obvious_way_gives() -> None:
    local = features(4, 6, 9)
    packed = pack(local, form="nibbles")
    at = 5 + 6 * 6
    for descriptor in local.descriptors:
        greatest = max(abs(float(value)) for value in descriptor)
        codes = [round(7 * float(value) / greatest) + 8 for value in descriptor] + [8]
        row = bytes(16 * a + b for a, b in zip(codes[::2], codes[1::2], strict=True))
        assert packed[at : at + 5] == row
        at += 5
    assert at == len(packed)


def test_a_descriptor_of_nothing_stays_nothing() -> None:
    local = features(4, 3, 8)
    local.descriptors[1] = 0
    for form in ("nibbles", "bytes", "codes"):
        assert not unpack(pack(local, form=form)).descriptors[1].any()


def even_features(seed: int, count: int) -> LocalFeatures:
    """Descriptors that lie as the default model's do: in all directions."""
    local = features(seed, count, 48)
    local.descriptors[:] = np.random.default_rng(seed).standard_normal((count, 48))
    local.descriptors[:] /= np.linalg.norm(local.descriptors, axis=1, keepdims=True)
    return local


@settings(deadline=None, max_examples=40)
@given(seeds, st.sampled_from([0, 40, 128]), st.binary())
def test_codes_are_the_nearest_means(seed: int, count: int, small: bytes) -> None:
    local = even_features(seed, count)
    packed = pack(local, small, form="codes")
    assert packed[0] == 4
    assert len(packed) == 5 + 18 * count + len(small)
    assert small_image(packed) == small
    back = unpack(packed)
    assert back.keypoints == pytest.approx(local.keypoints, abs=1 / 65_535)
    book = np.load(_BOOK).astype(np.float32)
    for given_, said in zip(local.descriptors, back.descriptors, strict=True):
        pieces = [
            means[((means - piece) ** 2).sum(axis=1).argmin()]
            for means, piece in zip(book, np.split(given_, 12), strict=True)
        ]
        obvious = np.concatenate(pieces) / np.linalg.norm(np.concatenate(pieces))
        assert said == pytest.approx(obvious, abs=1e-3)


@pytest.mark.parametrize("count", [303, 304, 400, 511, 600])
def test_what_is_too_much_as_bytes_is_kept_as_codes(count: int) -> None:
    local = even_features(5, count)
    packed = pack(local, b"")
    assert packed[0] == (2 if count <= 303 else 4)
    assert len(packed) <= MOST_BYTES
    back = unpack(packed)
    assert len(back) == min(count, 511)
    assert back.keypoints == pytest.approx(local.keypoints[:511], abs=1 / 65_535)
    assert (back.descriptors * local.descriptors[:511]).sum(axis=1).min() > 0.85
    old = pack(local, bytes(7_000), form="bytes")
    assert (old[0], len(unpack(old))) == (2, 303 if count == 303 else 170)
    assert len(small_image(old)) == (0 if count == 303 else 7_000)
    compact = pack(local, form="codes")
    assert unpack(compact).keypoints == pytest.approx(local.keypoints[:128], abs=1 / 65_535)
    assert len(compact) == 5 + 18 * 128


def test_what_codes_say_badly_leaves_room_for_the_small_image() -> None:
    local = even_features(5, 400)
    local.descriptors[:] = 0
    local.descriptors[:, 3] = 1
    wide = features(5, 300, 500)
    for given_, kept in ((local, 307), (wide, 35)):
        packed = pack(given_, bytes(7_000))
        assert (packed[0], len(unpack(packed))) == (3, kept)
        assert len(small_image(packed)) == 7_000


def test_detectors_of_sixteen_kilobytes_keep_all_their_bytes() -> None:
    for count, dim in ((232, 64), (122, 128)):  # XFeat's and SIFT's
        assert pack(features(5, count, dim), b"small")[0] == 2
        assert len(unpack(pack(features(5, count, dim), form="codes"))) == count
        assert len(unpack_few(pack(features(5, count, dim)))) == count
        assert len(unpack_few(pack(features(5, count, dim), form="codes"))) == count


def test_of_many_that_are_kept_as_codes_few_are_compared_with_many() -> None:
    local = even_features(5, 400)
    few = unpack_few(pack(local))
    assert few.keypoints == pytest.approx(local.keypoints[:128], abs=1 / 65_535)
    assert len(few) == len(few.descriptors) == len(few.scores) == 128


@pytest.mark.parametrize("dim", [1, 47, 49, 64])
def test_descriptors_without_means_are_kept_in_nibbles(dim: int) -> None:
    local = features(5, 7, dim)
    assert pack(local, form="codes") == pack(local, form="nibbles")


def test_descriptors_that_codes_say_badly_are_kept_in_nibbles() -> None:
    local = features(5, 7, 48)
    local.descriptors[:] = 0
    local.descriptors[:, 3] = 1  # far from all means
    assert pack(local, form="codes") == pack(local, form="nibbles")


@pytest.mark.parametrize("content", [None, b"", b"no array"])
def test_a_damaged_codebook_is_said(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = pack(even_features(5, 60), form="codes")
    path = tmp_path / "book.npy"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(packed_features, "_BOOK", path)
    packed_features._book.cache_clear()
    try:
        with pytest.raises(GalleryDamagedError, match="install glocal again"):
            unpack(packed)
    finally:
        packed_features._book.cache_clear()


def test_codes_of_another_length_are_damage() -> None:
    packed = bytearray(pack(even_features(5, 60), form="codes"))
    assert packed[0] == 4
    packed[3:5] = (64).to_bytes(2, "little")
    with pytest.raises(GalleryDamagedError):
        unpack(bytes(packed) + bytes(1000))
    with pytest.raises(GalleryDamagedError):
        unpack(bytes(packed[:40]))


def test_signs_are_tried_among_all_vectors() -> None:
    """Among a few, where none of the same subject are left, they seem to lead nowhere."""
    rng = np.random.default_rng(0)
    wide = rng.standard_normal((40, 384)) * (1 + np.arange(40)[:, None]) ** -0.3
    centres = rng.standard_normal((1_500, 40)) @ wide
    vectors = np.repeat(centres, 12, axis=0)
    vectors += 2.5 * rng.standard_normal(vectors.shape)
    codes = in_bytes(vectors[rng.permutation(len(vectors))].astype(np.float32))
    few = codes[::18]
    assert led_by_signs(codes[::180], lambda: np.array_split(codes, 4), 256) > 0.99
    assert led_by_signs(few[::10], lambda: [few], len(few) // 60) < 0.95


def related(seed: int, count: int, dim: int, *, above: float) -> np.ndarray:
    """Unit vectors that differ in twenty ways; `above` is added to each number."""
    rng = np.random.default_rng(seed)
    vectors = rng.standard_normal((count, 20)) @ rng.standard_normal((20, dim)) + above
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize(("above", "ending"), [(0.0, "signs"), (20.0, "graph")])
def test_a_graph_is_of_signs_only_where_they_lead_to_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, above: float, ending: str
) -> None:
    monkeypatch.setattr(flat, "_WALK", 1)
    monkeypatch.setattr(flat, "_LOADING", 0)
    vectors = related(3, 4_000, 384, above=above)
    codes = in_bytes(vectors)
    led = led_by_signs(codes[::40], lambda: (codes[n : n + 900] for n in range(0, 4_000, 900)), 256)
    assert (led >= 0.99) is (ending == "signs")
    ids = [UUID(int=row + 1) for row in range(len(vectors))]
    records = [
        Record(i, vector, Attributes((1,), 10, 10, 1, taken=1))
        for i, vector in zip(ids, vectors, strict=True)
    ]
    with closing(Database(tmp_path / "catalog.sqlite", SCHEMA)) as database:
        rows = RowTable(database, "space")
        with closing(FlatStore(tmp_path / "v", 384, rows)) as store:
            store.upsert(records[:3_000])
            extend(store, 384)
            store.upsert(records[3_000:])
            extend(store, 384)  # in the same way as it began
            assert [path.suffix for path in (tmp_path / "v").glob("*.?.*0*")] == [f".{ending}"]
            assert store.status().in_graph == 4_000
        with closing(FlatStore(tmp_path / "v", 384, rows)) as store:
            for query in vectors[::200]:
                found, exact = (
                    [each.id for each in store.search(query, 3, exact=exact)]
                    for exact in (False, True)
                )
                assert found == exact
            assert store._upkeep.graph(store.rows.extent()).kind == {"graph": "bytes"}.get(
                ending, ending
            )
