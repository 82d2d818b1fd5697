"""Several galleries are searched as one: of one model as one gallery of all, of others by matched
scores or through a bridge.
"""

from __future__ import annotations

import io
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from image_folders import image, write_images

from glocal.encoders import OnnxEncoder
from glocal.errors import (
    GalleryMissingError,
    ImageMissingError,
    ModelError,
    ModelMismatchError,
    QueryError,
)
from glocal.gallery import Galleries, Gallery, GalleryHit, Hit, SearchResult
from glocal.gallery.matching_scores import then
from glocal.gallery.merging import Answer, merge
from glocal.gallery.model_id import ModelId
from glocal.images import load
from glocal.ranking.evidence import Evidence, Verdict
from glocal.upgrade import make_bridge, save_bridge
from tiny_model import write_model

MINE, YOURS = 40, 30


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos in two folders, and galleries of them: of two models, and of all photos."""
    root = tmp_path_factory.mktemp("made")
    write_images(root / "mine", MINE)
    write_images(root / "yours", YOURS, first=MINE)
    models = {
        "one": write_model(root / "one.onnx", space="one"),
        "two": write_model(root / "two.onnx", seed=1, near=0.8, bias=100.0, space="two"),
    }
    for name, model, photos in (
        ("mine-one", "one", ["mine"]),
        ("yours-one", "one", ["yours"]),
        ("yours-two", "two", ["yours"]),
        ("all-one", "one", ["mine", "yours"]),
    ):
        with Gallery(root / name, model=str(models[model]), detector="own") as gallery:
            gallery.add(*(root / each for each in photos))
    return root


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Copies a gallery, to be changed."""
    return lambda name: Path(shutil.copytree(made / name, tmp_path / name))


def query(seed: int) -> bytes:
    return image(seed, "PNG" if seed % 3 == 0 else "JPEG")


def answer(result: SearchResult) -> list[tuple[str, float]]:
    return [(hit.path.name, round(hit.score, 6)) for hit in result]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"where": "width < 30"},
        {"region": (0, 0, 0.5, 1), "like": [image(5)], "unlike": [image(60)]},
        {"regions": False, "exact": True, "limit": 70},
    ],
)
def test_galleries_of_one_model_answer_as_one_gallery_of_all(made: Path, options: dict) -> None:
    options = {"verify": False, "limit": 25, "rerank": "none"} | options
    with Galleries(made / "mine-one", made / "yours-one") as both, Gallery(made / "all-one") as one:
        for seed in (3, 50):
            expected, found = (
                one.search(query(seed), **options),
                both.search(query(seed), **options),
            )
            assert answer(found) == answer(expected)
            assert [hit.rank for hit in found] == [hit.rank for hit in expected]
            assert (found.model, found.found) == (expected.model, expected.found)
            for hit in found:
                assert isinstance(hit, GalleryHit)
                assert hit.galleries == (made / f"{hit.path.parent.name}-one",)


def test_words_are_merged_by_how_many_an_image_has(made: Path) -> None:
    with Galleries(made / "mine-one", made / "yours-two") as both:
        found = both.search(text="p0004 yours", limit=200)
        assert {hit.path.parent.name for hit in found} == {"mine", "yours"}
        scores = [hit.score for hit in found]
        assert scores == sorted(scores, reverse=True)
        with pytest.raises(QueryError, match="search several galleries by one of them"):
            both.search(query(3), text="p0004")
        with pytest.raises(QueryError, match="takes no region and no like"):
            both.search(text="p0004", region=(0, 0, 1, 1), like=[query(3)])


@pytest.fixture(scope="module")
def different(made: Path) -> Iterator[Galleries]:
    with Galleries(made / "mine-one", made / "yours-two") as both:
        yield both


def test_each_model_encodes_the_query_and_scores_are_those_of_the_first(
    made: Path, different: Galleries
) -> None:
    for seed in (3, 50):
        found = different.search(query(seed), verify=False, limit=1).hits[0]
        assert (found.path.stem, found.space) == (f"p{seed:04d}", "one" if seed < MINE else "two")
    found = different.search(query(3), verify=False, limit=70, rerank="none", regions=False)
    assert len(found) == MINE + YOURS
    assert {hit.space for hit in found} == {"one", "two"}
    with Gallery(made / "yours-two") as alone:
        own = alone.search(query(3), verify=False, limit=70, rerank="none", regions=False)
    theirs = [hit for hit in found if hit.space == "two"]
    assert [hit.id for hit in theirs] == [hit.id for hit in own]
    assert [hit.scores["own"] for hit in theirs] == [hit.score for hit in own]
    scores = [hit.score for hit in found]
    assert scores == sorted(scores, reverse=True)
    assert all(hit.scores["vector"] == hit.score for hit in found)


def test_matched_scores_are_nearer_to_those_of_one_model_than_scores_as_they_are(
    made: Path, different: Galleries
) -> None:
    """The model of the second gallery sees other things in the same images."""
    raw, matched = [], []
    with Gallery(made / "all-one") as one:
        for seed in range(0, 70, 14):
            options = {"verify": False, "limit": 70, "rerank": "none", "regions": False}
            true = {hit.id: hit.score for hit in one.search(query(seed), **options)}
            for hit in different.search(query(seed), **options):
                if hit.space == "two":
                    matched.append(hit.score - true[hit.id])
                    raw.append(hit.scores["own"] - true[hit.id])
    assert np.mean(np.abs(matched)) < 0.3 * np.mean(np.abs(raw))


def test_matched_scores_are_kept_and_made_again_where_they_are_damaged(
    copied: Callable[[str], Path], made: Path
) -> None:
    folder = copied("yours-two")
    (folder / "scores.json").unlink(missing_ok=True)
    fits = []

    def search() -> list[tuple[str, float]]:
        with Galleries(made / "mine-one", folder, listen=fits.append) as both:
            return answer(both.search(query(50), verify=False))

    first = search()
    assert len(fits) == YOURS + MINE
    kept = json.loads((folder / "scores.json").read_text())
    assert [each["count"] for each in kept.values()] == [YOURS + MINE]
    assert (search(), len(fits)) == (first, YOURS + MINE)
    (folder / "scores.json").write_text('{"x": 1')
    assert search() == first
    assert json.loads((folder / "scores.json").read_text()) == kept


@pytest.fixture(scope="module")
def bridge(made: Path) -> Path:
    """From queries of the first model to the vectors of the second."""
    encoders = [OnnxEncoder(made / name) for name in ("two.onnx", "one.onnx")]
    photos = [load(path).array for path in sorted((made / "mine").iterdir())]
    old, new = ([e.encode([photo])[0].vector for photo in photos] for e in encoders)
    path = made / "to-two.bridge"
    save_bridge(
        path,
        make_bridge("ridge").fit(np.stack(old), np.stack(new)),
        old_space="two",
        new_space="one",
        anchors=MINE,
        glocal_version="1",
    )
    return path


def test_a_gallery_without_its_model_is_searched_through_a_bridge(
    copied: Callable[[str], Path], made: Path, bridge: Path
) -> None:
    folder = copied("yours-two")
    for path in folder.glob("model-*.onnx"):
        path.unlink()
    with Galleries(folder, made / "mine-one") as both:
        with pytest.raises(ModelError, match=r"yours-two cannot be used .* --bridge FILE"):
            both.search(query(50))
        assert both.search(text="p0050").hits[0].path.stem == "p0050"
    with Galleries(folder, made / "mine-one", bridges=[bridge]) as both:
        found = both.search(query(3), limit=70)
        assert found.model.space == "one"
        assert found.hits[0].path.stem == "p0003"
        assert len(found) == MINE + YOURS
        plain = {"limit": 3, "regions": False, "rerank": "none", "verify": False}
        firsts = [both.search(query(seed), **plain) for seed in range(MINE, MINE + 20)]
    right = [f"p{seed:04d}" in {h.path.stem for h in f} for seed, f in enumerate(firsts, MINE)]
    assert np.mean(right) > 0.8


def test_a_gallery_that_another_process_upgrades_is_followed(
    copied: Callable[[str], Path], made: Path, bridge: Path
) -> None:
    folder, lost = copied("yours-one"), copied("yours-two")
    with (
        Galleries(made / "mine-one", folder) as both,
        Galleries(made / "mine-one", lost, bridges=[bridge]) as bridged,
    ):
        for opened, model in ((folder, "two.onnx"), (lost, "one.onnx")):
            with Gallery(opened) as other:
                upgrade = other.upgrade()
                upgrade.begin(upgrade.propose(str(made / model), anchors=10))
        for seed in (3, 50):
            assert both.search(query(seed), limit=1).hits[0].path.stem == f"p{seed:04d}"
        with pytest.raises(ModelMismatchError, match="belongs to the space 'two'"):
            bridged.search(query(3))


def test_a_bridge_that_leads_elsewhere_is_refused(made: Path, bridge: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMismatchError, match="no gallery has such"):
        Galleries(made / "mine-one", made / "yours-one", bridges=[bridge])
    other, card = make_bridge("ridge"), {"anchors": 9, "glocal_version": "1"}
    other.fit(np.random.default_rng(0).normal(size=(9, 16)), np.eye(9))
    save_bridge(tmp_path / "b", other, old_space="two", new_space="three", **card)
    with pytest.raises(ModelMismatchError, match="takes queries of 'three'"):
        Galleries(made / "mine-one", made / "yours-two", bridges=[tmp_path / "b"])


def test_wrong_galleries_are_named(made: Path, tmp_path: Path) -> None:
    with pytest.raises(GalleryMissingError, match="nowhere"):
        Galleries(made / "mine-one", tmp_path / "nowhere")
    with pytest.raises(QueryError, match="mine-one is named twice"):
        Galleries(made / "mine-one", made / "mine-one" / ".." / "mine-one")
    with pytest.raises(QueryError, match="name at least one"):
        Galleries()


def test_queries_are_checked_as_by_one_gallery(different: Galleries) -> None:
    for wrong in ({"limit": 0}, {"where": "colour = 1"}):
        with pytest.raises(QueryError):
            different.search(query(3), **wrong)
    with pytest.raises(QueryError, match="give a query image"):
        different.search()
    with pytest.raises(ImageMissingError):
        different.search("missing.jpg")
    with pytest.raises(QueryError, match="different detectors"):
        different.search(query(3), small_objects=True)
    stream = io.BytesIO(query(3))
    assert different.search(stream, verify=False).hits[0].path.stem == "p0003"


def test_galleries_that_were_open_stay_open(made: Path) -> None:
    with Gallery(made / "mine-one") as mine:
        with Galleries(mine, made / "yours-one") as both:
            yours = both._galleries[1]
            both.search(query(3), verify=False)
        assert mine.search(query(3), verify=False).hits
        with pytest.raises(Exception, match="is closed"):
            yours.info()


def test_a_file_that_two_galleries_have_is_one_hit_also_where_one_is_behind(
    made: Path, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    for seed in (3, 4, 5):
        (tmp_path / "photos" / f"{seed}.png").write_bytes(image(seed, "PNG"))
    os.symlink(tmp_path / "photos", tmp_path / "linked")
    for name, photos in (("a", "photos"), ("b", "linked")):
        with Gallery(tmp_path / name, model=str(made / "one.onnx"), detector="own") as gallery:
            gallery.add(tmp_path / photos / "3.png", tmp_path / photos / "4.png")
            if name == "b":  # the other one has yet to see that a file has changed
                (tmp_path / "photos" / "4.png").write_bytes(image(40, "PNG"))
                gallery.add(tmp_path / "linked")
    with Galleries(tmp_path / "a", tmp_path / "b") as both:
        found = both.search(query(3), verify=False)
        hit = found.hits[0]
        assert (hit.path, hit.paths) == (
            tmp_path / "photos" / "3.png",
            (tmp_path / "photos" / "3.png",),
        )
        assert isinstance(hit, GalleryHit)
        assert hit.galleries == (tmp_path / "a", tmp_path / "b")
        assert sorted(os.path.realpath(h.path) for h in found) == [
            str(tmp_path / "photos" / f"{n}.png") for n in (3, 4, 5)
        ]


def hit(name: str, score: float, evidence: Evidence | None = None, **scores: float) -> Hit:
    return Hit(
        id=name,
        path=Path(name),
        paths=(Path(name),),
        width=1,
        height=1,
        bytes=1,
        rank=1,
        score=score,
        scores={"vector": score} | scores,
        evidence=evidence,
        space="one",
    )


def result(*hits: Hit, found: bool | None = None) -> SearchResult:
    return SearchResult("q", ModelId("m", 1, "", 2, "one"), hits, {"search": 1.0}, found, 0)


SAME = Evidence(Verdict.SAME_OBJECT, 1.0, 0.0)
OTHER = Evidence(Verdict.SIMILAR, 0.1, 0.0)
ITSELF = Evidence(Verdict.IDENTICAL_FILE, 1.0, 1.0)


def test_matches_come_first_and_are_counted_once() -> None:
    a = result(hit("x", 0.5, SAME, combined=0.9), hit("y", 0.8, OTHER, combined=0.8), found=True)
    b = result(hit("z", 0.6, ITSELF), hit("x", 0.7, SAME, combined=0.95), hit("w", 0.81, OTHER))
    merged = merge([Answer(Path("a"), a), Answer(Path("b"), b)], 3)
    assert [each.id for each in merged] == ["z", "x", "w"]
    assert (merged.matches, merged.found) == (2, True)
    assert merged.hits[1].galleries == (Path("b"), Path("a"))
    assert merged.timings_ms == {"search": 2.0}


def test_each_gallery_keeps_its_order_whatever_made_it() -> None:
    a = result(*(hit(name, s) for name, s in zip("abc", (0.5, 0.9, 0.7), strict=True)))
    b = result(*(hit(name, s) for name, s in zip("de", (0.2, 0.8), strict=True)))
    merged = merge([Answer(Path("1"), a), Answer(Path("2"), b)], 10)
    assert [each.id for each in merged] == ["a", "d", "b", "c", "e"]


@pytest.mark.parametrize(
    ("founds", "expected"), [((False, False), False), ((False, None), None), ((None, None), None)]
)
def test_absence_is_said_only_where_all_galleries_know_it(
    founds: tuple[bool | None, bool | None], expected: bool | None
) -> None:
    answers = [Answer(Path(str(n)), result(found=found)) for n, found in enumerate(founds)]
    assert merge(answers, 10).found is expected


def test_scores_of_another_model_are_changed_and_kept_beside() -> None:
    knots = ((0.0, 0.5, 1.0), (0.0, 0.2, 1.0))
    a, b = result(hit("a", 0.3)), result(replace(hit("b", 0.5), space="two"))
    merged = merge([Answer(Path("1"), a), Answer(Path("2"), b, knots)], 10)
    assert [each.id for each in merged] == ["a", "b"]
    assert merged.hits[1].scores == {"vector": pytest.approx(0.2), "own": 0.5}


def test_knots_follow_one_another() -> None:
    found = then(((0.0, 1.0), (0.0, 0.5)), ((0.0, 0.25, 1.0), (0.1, 0.3, 0.7)))
    assert found == ((0.0, 1.0), pytest.approx((0.1, np.interp(0.5, (0.25, 1), (0.3, 0.7)))))
