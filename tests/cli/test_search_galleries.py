"""`glocal search` in several galleries, and by vectors of a file."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from glocal.cli.search import search
from glocal.errors import GlocalError, ModelError
from glocal.gallery import Gallery
from glocal.upgrade import make_bridge, save_bridge

sys.path.insert(0, str(Path(__file__).parent.parent / "gallery"))

from image_folders import write_images

from tiny_model import write_model


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two galleries of different models, `mine` of six photos and `yours` of eight."""
    made = tmp_path_factory.mktemp("galleries")
    for seed, (name, first, count) in enumerate((("mine", 0, 6), ("yours", 6, 8))):
        write_images(made / f"{name} photos", count, first=first)
        model = write_model(made / f"{name}.onnx", seed=seed, near=0.8, space=name)
        with Gallery(made / name, model=str(model), detector="own") as gallery:
            gallery.add(made / f"{name} photos")
    return made


def run(root: Path, *arguments: str | Path, both: bool = True) -> Result:
    galleries = ["--gallery", root / "mine", *(["--gallery", root / "yours"] if both else [])]
    return CliRunner().invoke(search, [*map(str, [*galleries, *arguments])])


def test_hits_of_two_galleries_say_which(root: Path, tmp_path: Path) -> None:
    queries = [root / "mine photos" / "p0001.jpg", root / "yours photos" / "p0007.jpg"]
    done = run(root, *queries, "--json", "-n", "14", "--no-verify")
    assert done.exit_code == 0
    for query, line in zip(queries, done.output.splitlines(), strict=True):
        answer = json.loads(line)
        best = answer["hits"][0]
        folder = root / query.parent.name.removesuffix(" photos")
        assert (best["path"], best["galleries"]) == (str(query), [str(folder)])
        assert len(answer["hits"]) == 14
        assert answer["model"] == "tiny-0 v1"
    sheet = tmp_path / "sheet.html"
    done = run(root, queries[0], "--html", sheet, "-n", "1")
    assert done.exit_code == 0
    assert f"p0001.jpg  [{root / 'mine'}]" in done.output
    assert "identical file; mine" in sheet.read_text(encoding="utf-8")


def test_a_photo_that_fails_does_not_stop_the_others(root: Path) -> None:
    done = run(root, "missing.jpg", root / "mine photos" / "p0001.jpg", "--json", "-n", "1")
    assert done.exit_code == 1
    assert "no such file" in json.loads(done.stdout.splitlines()[0])["error"]
    assert json.loads(done.stdout.splitlines()[1])["hits"][0]["rank"] == 1


def test_words_find_photos_of_both(root: Path) -> None:
    done = run(root, "--text", "p0001 p0007", "--json")
    assert {Path(hit["path"]).stem for hit in json.loads(done.stdout)["hits"]} >= {"p0001", "p0007"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["x.jpg", "--model", "glocal-lite0"], "names the model of one gallery"),
        (["x.jpg", "--text", "words"], "by a photo or by --text"),
        (["--vector", "x.npy"], "in one gallery"),
    ],
)
def test_what_several_galleries_cannot_do_is_wrong_usage(
    root: Path, arguments: list[str], said: str
) -> None:
    done = run(root, *arguments)
    assert (done.exit_code, said in done.output) == (2, True)


@pytest.mark.parametrize(
    "arguments",
    [
        ["--region", "0,0,1,1"],
        ["--region", "0,0,.5,1", "--region", ".5,0,.5,1", "--relation", "above"],
        ["--like", "x.jpg"],
        ["--unlike", "x.jpg"],
        ["--rerank", "aqe"],
        ["--no-verify"],
        ["--small-objects"],
        ["--no-regions"],
    ],
)
def test_what_needs_an_image_is_refused_beside_a_vector(root: Path, arguments: list[str]) -> None:
    done = run(root, "--vector", "x.npy", *arguments, both=False)
    said = f"a --vector cannot be combined with {arguments[0]}; leave it out"
    assert (done.exit_code, said in done.output) == (2, True)


def test_a_bridge_without_vectors_or_galleries_is_wrong_usage(root: Path) -> None:
    assert run(root, "x.jpg", "--bridge", "x.bridge", both=False).exit_code == 2


def test_a_gallery_that_is_missing_or_lost_its_model_is_named(root: Path, tmp_path: Path) -> None:
    photo = root / "mine photos" / "p0001.jpg"
    done = run(root, photo, "--gallery", tmp_path / "nowhere")
    assert isinstance(done.exception, GlocalError)
    assert f"there is no gallery at {tmp_path / 'nowhere'}" in str(done.exception)
    ((lost,),) = [[*(root / "yours").glob("model-*.onnx")]]
    away = lost.rename(tmp_path / "away")
    try:
        done = run(root, photo)
        assert isinstance(done.exception, ModelError)
        assert f"gallery {root / 'yours'} cannot be used" in str(done.exception)
    finally:
        away.rename(lost)


def test_the_vectors_of_a_service_search_through_a_bridge(root: Path, tmp_path: Path) -> None:
    """A service whose vectors are those of the gallery, turned and with four numbers more."""
    with Gallery(root / "yours") as gallery:
        paths = sorted((root / "yours photos").iterdir())
        own = np.stack([gallery.query(path).vector for path in paths])
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0][:16]
    theirs = own @ turn.astype(np.float32)
    made, card = make_bridge("procrustes").fit(own, theirs), {"anchors": 8, "glocal_version": "1"}
    bridge = tmp_path / "service.bridge"
    save_bridge(bridge, made, old_space="yours", new_space="service", **card)
    np.save(tmp_path / "v.npy", theirs[:2].astype(np.float64))
    np.save(tmp_path / "one.npy", theirs[3])
    np.save(tmp_path / "short.npy", theirs[3][:7])
    np.save(tmp_path / "objects.npy", np.array([{}], object), allow_pickle=True)

    def by(*files: str, gallery: str = "yours", **options: Path) -> Result:
        said = [str(each) for name in files for each in ("--vector", tmp_path / name)]
        said += [str(each) for name, path in options.items() for each in (f"--{name}", path)]
        return CliRunner().invoke(search, ["--gallery", str(root / gallery), "--json", *said])

    done = by("v.npy", "one.npy", bridge=bridge)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert [answer["hits"][0]["path"] for answer in answers] == [
        *map(str, paths[:2]),
        str(paths[3]),
    ]
    assert answers[1]["query"] == f"{tmp_path / 'v.npy'}[1]"
    assert by("one.npy").exit_code == 1  # 20 numbers are none of the gallery's
    for failed, said in (
        (by("one.npy", gallery="mine", bridge=bridge), "leads to vectors of 'yours'"),
        (by("short.npy", bridge=bridge), "20"),
        (by("objects.npy", bridge=bridge), "objects.npy is no array of numbers"),
        (by("missing.npy", bridge=bridge), "cannot be read"),
    ):
        assert isinstance(failed.exception, GlocalError)
        assert said in str(failed.exception)
        assert "pickle" not in str(failed.exception)  # NumPy's text advises to load anything
    whole = bridge.read_bytes()
    bridge.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    failed = by("one.npy", bridge=bridge)
    assert isinstance(failed.exception, GlocalError)
    assert "cannot be used" in str(failed.exception)
