"""Groups of duplicates: the pure grouping, and real photographs against all pairs compared."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from image_folders import write_images
from PIL import Image

from glocal.cli import demo_photos
from glocal.cli.demo_reshoot import CHANGES
from glocal.encoders import DEFAULT_MODEL, LocalFeatures
from glocal.errors import QueryError
from glocal.gallery import DuplicateGroup, Gallery, Progress
from glocal.gallery import comparing as comparing_module
from glocal.gallery.candidates import FIRST, LEAST_SCORE, MANY, NEIGHBOURS
from glocal.gallery.comparing import LEAST_WHOLE_SCORE, Comparing
from glocal.gallery.duplicates import (
    Level,
    clusters,
    components,
)
from glocal.gallery.originals import PIXELS, Originals
from glocal.gallery.packed_features import small_image, unpack
from glocal.gallery.pair_points import FEWER_ITERATIONS
from glocal.gallery.progress import quiet
from glocal.gallery.same_files import Disk
from glocal.gallery.small_images import from_jpeg
from glocal.gallery.thumbnails import Thumbnails
from glocal.gallery.verifier import overlap_weighed
from glocal.images import Limits, load
from glocal.ranking.alignment import LEAST_EXCESS, align
from glocal.ranking.either_way import either_way
from glocal.ranking.evidence import Evidence, Verdict
from glocal.ranking.pixels import compare_pixels, confirm
from glocal.ranking.symmetries import outline, whole_on_whole
from glocal.ranking.verification import ITERATIONS, verify

Opener = Callable[..., Gallery]
Pairs = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=24)


def tied(pairs: list[tuple[int, int]]) -> dict[int, list[int]]:
    both = [*pairs, *((b, a) for a, b in pairs)]
    return {i: [b for a, b in both if a == i and b != i] for pair in both for i in pair}


@given(Pairs)
def test_components_are_what_merging_gives(pairs: list[tuple[int, int]]) -> None:
    slow = [{i} for i in {i for pair in pairs for i in pair}]
    for a, b in pairs:
        joined = [group for group in slow if a in group or b in group]
        slow = [group for group in slow if group not in joined] + [set().union(*joined)]
    assert sorted(map(sorted, components(pairs))) == sorted(map(sorted, slow))


def test_a_chain_of_copies_is_split() -> None:
    chain = tied([(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)])
    assert clusters(range(6), chain, int) == [[0, 1], [2, 3], [4, 5]]


def test_what_hangs_by_a_thread_is_split_and_a_walk_is_not() -> None:
    two = [*itertools.combinations(range(4), 2), *itertools.combinations(range(4, 8), 2)]
    assert clusters(range(8), tied([*two, (3, 4)]), int) == [[0, 1, 2, 3], [4, 5, 6, 7]]
    walk = [(i, i + step) for i in range(10) for step in (1, 2) if i + step < 10]
    assert clusters(range(10), tied(walk), int) == [list(range(10))]


@given(Pairs)
def test_clusters_grow_as_repeated_asking_says(pairs: list[tuple[int, int]]) -> None:
    ties = tied(list({(min(pair), max(pair)) for pair in pairs}))
    left, slow = sorted(ties), []
    while left:
        group = {left[0]}
        while True:
            more = {
                i
                for i in left
                if i not in group and (left[0] in ties[i] or len(group.intersection(ties[i])) >= 2)
            }
            if not more:
                break
            group |= more
        left = [i for i in left if i not in group]
        slow += [sorted(group)] if len(group) > 1 else []
    assert clusters(list(ties), ties, int) == slow


def test_smooth_images_of_different_colours_are_not_the_same_thing(tmp_path: Path) -> None:
    """Their few points agree with some homography, and their vectors are alike."""
    for seed in range(20):
        coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((160, 120)).save(tmp_path / f"{seed}.png")
    with Gallery(tmp_path / "gallery", model=DEFAULT_MODEL) as gallery:
        gallery.add(*tmp_path.glob("*.png"))
        assert gallery.duplicates("object") == ()


# Real photographs


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven photographs, three re-shot copies of each, a second view, and odd images."""
    pytest.importorskip("skimage")
    pytest.importorskip("sklearn")
    folder = tmp_path_factory.mktemp("photos")
    changes = list(CHANGES.items())
    for number, path in enumerate(demo_photos.gather(folder / "all")[::3]):
        with Image.open(path) as file:
            image = file.convert("RGB")
        image.thumbnail((640, 640))
        (folder / path.stem).mkdir()
        image.save(folder / path.stem / "original.png")
        for name, change in [changes[(number + 2 * i) % len(changes)] for i in range(3)]:
            copy = change(image, np.random.default_rng(number))
            (folder / path.stem / f"{name}.jpg").write_bytes(copy)
    shutil.rmtree(folder / "all")
    (folder / "elsewhere").mkdir()
    first = min(folder.glob("*/original.png"))
    shutil.copy(first, folder / "elsewhere" / "same bytes.png")
    for shade in (0, 128, 250):
        Image.new("RGB", (320, 240), (shade,) * 3).save(folder / "elsewhere" / f"{shade}.png")
    return folder


@pytest.fixture(scope="module")
def gallery(photos: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    with Gallery(tmp_path_factory.mktemp("gallery")) as opened:
        assert not opened.add(photos).failed
        yield opened


Pairs = dict[tuple[UUID, UUID], tuple[float, Evidence]]


@pytest.fixture(scope="module")
def all_pairs(gallery: Gallery) -> Pairs:
    """Every pair of images, compared: the slow and obvious way."""
    catalog, store = gallery._catalog, gallery._store()
    verifier = gallery._models.verifier()
    assert verifier is not None
    calibration = verifier.calibration
    ids = sorted(catalog.content_ids())
    thumbnails = Thumbnails(catalog, Limits())
    contents, packed, vectors = (
        catalog.contents(ids),
        catalog.local_features(ids),
        store.vectors(ids),
    )
    pairs = {}
    files = catalog.files_of(ids)
    for a, b in itertools.combinations(ids, 2):
        parts = [unpack(packed[i]).scored_above(calibration.min_score) for i in (a, b)]
        parts = [
            LocalFeatures(p.keypoints[:128], p.descriptors[:128], p.scores[:128]) for p in parts
        ]
        sizes = [(contents[i].width, contents[i].height) for i in (a, b)]
        score = float(vectors[a] @ vectors[b])
        most = min(len(part.keypoints) for part in parts)
        samples = ITERATIONS if calibration.may_match(most, score) else FEWER_ITERATIONS
        found = verify(*parts, *sizes, calibration.settings, iterations=samples)
        better = either_way(found, parts[0].keypoints, sizes[1])
        evidence, compared, laid = calibration.evaluate(better, score), None, None
        if found.homography is not None and calibration.excess(found) >= LEAST_EXCESS:
            over, under, to = thumbnails.of(a), thumbnails.of(b), found.homography
            if better is not found:
                over, under, to = under, over, np.linalg.inv(to)
            assert over is not None
            assert under is not None
            laid = align(over, under, to)
            if better is not found:
                laid = laid.turned()
        if (laid is None or not laid.may_be_copy) and score >= LEAST_WHOLE_SCORE:
            one, two = thumbnails.of(a), thumbnails.of(b)
            assert one is not None
            assert two is not None
            ways = whole_on_whole(outline(one), outline(two))
            laid = next((each for h in ways if (each := align(one, two, h)).may_be_copy), laid)
        if laid is not None:
            evidence = replace(evidence, copy_probability=laid.copy_probability)
            if laid.may_be_copy:
                assert laid.homography is not None
                one, two = (load(files[i][0][1], min_pixels=PIXELS).array for i in (a, b))
                compared = compare_pixels(one, two, laid.homography)
        evidence = confirm(evidence, compared)
        if evidence.verdict is Verdict.SAME_OBJECT:
            small = [from_jpeg(small_image(packed[i])) for i in (a, b)]
            one, two = (None if each is None else each.astype(np.uint8) for each in small)
            evidence = overlap_weighed(evidence, better, one, two, calibration)
        pairs[a, b] = score, evidence
    return pairs


@pytest.mark.parametrize(
    ("level", "few", "enough"),
    [(Level.COPY, FIRST, MANY), (Level.COPY, 1, 1), (Level.OBJECT, 1, 1)],
)
def test_ties_are_those_among_all_pairs_that_are_neighbours(
    gallery: Gallery,
    all_pairs: Pairs,
    level: Level,
    few: int,
    enough: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(comparing_module, "FIRST", few)
    monkeypatch.setattr(comparing_module, "MANY", enough)
    pairs = all_pairs
    near: dict[UUID, list[tuple[float, UUID]]] = {}
    for (a, b), (score, _) in pairs.items():
        near.setdefault(a, []).append((-score, b))
        near.setdefault(b, []).append((-score, a))

    def allowed(
        counts: Mapping[UUID, int], level: Level = level
    ) -> dict[tuple[UUID, UUID], Evidence]:
        chosen = {i: {o for _, o in sorted(best)[: counts[i]]} for i, best in near.items()}
        return {
            (a, b): evidence
            for (a, b), (score, evidence) in pairs.items()
            if level.allows(evidence.verdict)
            and score >= LEAST_SCORE
            and (b in chosen[a] or a in chosen[b])
        }

    counts = dict.fromkeys(near, NEIGHBOURS)
    if level is Level.COPY:  # of the first neighbours, and of all where enough show the same
        first = allowed(dict.fromkeys(near, few))
        alike = allowed(dict.fromkeys(near, few), Level.OBJECT)
        many = {i for i in near if sum(i in pair for pair in alike) >= enough}
        everywhere = allowed(counts)
        expected = {p: e for p, e in everywhere.items() if p in first or many.intersection(p)}
        assert few == FIRST or len(first) < len(expected)
    else:
        expected = allowed(counts)
    verifier = gallery._models.verifier()
    assert verifier is not None
    catalog, store = gallery._catalog, gallery._store()
    small = Thumbnails(catalog, Limits())
    originals = Originals(catalog, Disk(catalog), Limits())
    comparing = Comparing(
        catalog,
        store,
        verifier.calibration,
        level,
        quiet,
        small,
        originals,
    )
    comparing.find()
    both = {(a, b): evidence for a, mine in comparing.ties.items() for b, evidence in mine.items()}
    assert {pair for pair in both if pair[0] < pair[1]} == set(expected)
    for (a, b), evidence in expected.items():
        assert both[a, b].inliers == both[b, a].inliers == evidence.inliers
        assert both[a, b].copy_probability == pytest.approx(evidence.copy_probability, abs=1e-3)
        there, back = np.array(both[a, b].homography), np.array(both[b, a].homography)
        there = there @ back
        assert there / there[2, 2] == pytest.approx(np.eye(3), abs=1e-5)
    assert len(expected) >= 15


def test_copies_are_found_and_nothing_else(gallery: Gallery, photos: Path) -> None:
    groups = gallery.duplicates("copy")
    found = {path: group for group in groups for path in files(group)}
    for group in groups:
        folders = {path.parent for path in files(group)} - {photos / "elsewhere"}
        assert len(folders) == 1, group  # each photograph has a folder of its own
    copies = [path for path in photos.glob("*/*.jpg") if path in found]
    assert len(copies) >= 0.7 * len(list(photos.glob("*/*.jpg")))
    same = found[photos / "elsewhere" / "same bytes.png"]
    assert same is found[min(photos.glob("*/original.png"))]
    assert not any(found.get(photos / "elsewhere" / f"{shade}.png") for shade in (0, 128, 250))


def files(group: DuplicateGroup) -> list[Path]:
    return [path for image in group.images for path in image.paths]


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as file:
        return file.size


def test_a_group_says_what_stays_and_what_would_be_freed(gallery: Gallery) -> None:
    for group in gallery.duplicates("object"):
        first, *others = group.images
        assert (first.path, first.verdict, first.removable) == (group.kept, None, False)
        for image in group.images:
            assert image.bytes == image.path.stat().st_size
            assert (image.width, image.height) == size(image.path)
            assert set(image.spare) <= set(image.paths)
            assert (image.path in image.spare) == image.removable
            assert image.reason
        for other in others:
            assert other.removable <= (other.verdict is Verdict.COPY)
            assert bool(other.edits) <= (other.verdict is Verdict.COPY)
        freed = [path.stat().st_size for image in group.images for path in image.spare]
        assert group.bytes_to_free == sum(freed)
        verdicts = {other.verdict for other in others}
        kinds = {frozenset(): "identical", frozenset({Verdict.COPY}): "copy"}
        assert group.kind == kinds.get(frozenset(verdicts), "same_object")


def test_the_answer_is_the_same_every_time(gallery: Gallery) -> None:
    assert gallery.duplicates("object") == gallery.duplicates("object")


def test_progress_is_told(gallery: Gallery) -> None:
    told: list[Progress] = []
    gallery.duplicates(listen=told.append)
    for stage in ("neighbours", "verify"):
        steps = [progress.done for progress in told if progress.stage == stage]
        total = {progress.total for progress in told if progress.stage == stage}
        assert steps == sorted(steps)
        assert total == {steps[-1]}


def test_without_local_features_identical_files_are_found(gallery: Gallery, photos: Path) -> None:
    catalog = gallery._catalog
    kept = list(catalog.local_features(catalog.content_ids()).items())
    with catalog.change():
        catalog.drop_local_features()
    (gallery.folder / "compared.sqlite").unlink()  # what was compared holds, but is asked anew here
    try:
        (group,) = gallery.duplicates("object")
        assert {path.name for path in files(group)} == {"original.png", "same bytes.png"}
        assert (group.kind, len(group.images)) == ("identical", 1)
    finally:
        with catalog.change():
            catalog.put_contents([], kept)


# Galleries of a model that takes no time


def test_identical_files_in_several_folders_are_one_group(
    open_gallery: Opener, tmp_path: Path
) -> None:
    (first, _) = write_images(tmp_path / "photos" / "a", 2)
    for folder in ("b", "c/deep"):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        shutil.copy(first, tmp_path / "photos" / folder / "copy.png")
    gallery = open_gallery()
    gallery.add(tmp_path / "photos")
    (group,) = gallery.duplicates()
    assert group.kept == first  # the others are called copies
    assert group.kind == "identical"
    (image,) = group.images
    assert image.spare == tuple(tmp_path / "photos" / at / "copy.png" for at in ("b", "c/deep"))
    assert group.bytes_to_free == 2 * first.stat().st_size
    gallery.remove(tmp_path / "photos" / "c", tmp_path / "photos" / "b")
    assert gallery.duplicates() == ()


def test_an_empty_gallery_has_none(open_gallery: Opener) -> None:
    assert open_gallery().duplicates() == ()


def test_an_unknown_level_is_refused(open_gallery: Opener) -> None:
    with pytest.raises(QueryError, match="'alike'; it is one of: copy, object"):
        open_gallery().duplicates("alike")
