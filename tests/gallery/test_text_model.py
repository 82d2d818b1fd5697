"""Words that are meant: a text model is fitted to a gallery, kept in it, and searched through."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest

pytest.importorskip("tokenizers", reason="the extra text is not installed")

from click.testing import CliRunner

from glocal.cli.app import glocal
from glocal.errors import GalleryError, ModelError, QueryError
from glocal.gallery import Gallery, text_model
from made_pair import write_pair, write_photos

EACH = 34


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_photos(tmp_path_factory.mktemp("photos"), EACH)


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pair(tmp_path_factory.mktemp("pair") / "tiny")


@pytest.fixture(scope="module")
def filled(model: Path, photos: Path, pair: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A gallery with a text model, which tests only read."""
    folder = tmp_path_factory.mktemp("gallery") / "gallery"
    with Gallery(folder, model=str(model), detector="own", regions="none") as gallery:
        gallery.add(photos)
        gallery.add_text_model(pair)
    return folder


@pytest.fixture
def gallery(filled: Path, tmp_path: Path) -> Iterator[Gallery]:
    """The same in a copy, which a test may change."""
    shutil.copytree(filled, tmp_path / "copy")
    with Gallery(tmp_path / "copy") as opened:
        yield opened


def colours(hits: object) -> list[str]:
    return [hit.path.stem[-1] for hit in hits]


def test_words_find_what_they_mean_in_an_index_of_images_alone(filled: Path) -> None:
    with Gallery(filled) as gallery:
        result = gallery.search(text="something blue", limit=EACH)
    assert colours(result.hits).count("b") >= 0.9 * EACH  # chance is a third
    assert result.hits[0].scores["meaning"] == pytest.approx(result.hits[0].score)
    assert not result.hits[0].words
    assert "meaning" in result.timings_ms


def test_written_and_meant_words_are_fused_and_each_hit_says_which(filled: Path) -> None:
    with Gallery(filled) as gallery:
        result = gallery.search(text="red", limit=3 * EACH)
    first = result.hits[0]
    assert first.words == {"folder": "red"}
    assert {"words", "meaning", "fused"} == set(first.scores)
    assert colours(result.hits[:EACH]) == ["r"] * EACH
    fused = [hit.scores["fused"] for hit in result.hits]
    assert fused == sorted(fused, reverse=True)


def test_words_in_quotes_are_found_as_they_are_written(filled: Path) -> None:
    with Gallery(filled) as gallery:
        assert len(gallery.search(text='"red"', limit=3 * EACH)) == EACH
        assert not gallery.search(text='"blue"').hits


def test_an_image_and_words_and_a_condition_go_together(filled: Path, photos: Path) -> None:
    with Gallery(filled) as gallery:
        result = gallery.search(photos / "red" / "0r.png", text="blue", limit=20, verify=False)
        assert set(colours(result.hits)) >= {"r", "b"}
        assert all("fused" in hit.scores for hit in result.hits)
        inside = f'folder = "{photos / "red"}"'
        only = gallery.search(text="blue", where=inside, limit=5)
    assert colours(only.hits) == ["r"] * 5


def test_a_change_is_searched_for_and_the_image_itself_is_left_out(
    filled: Path, photos: Path
) -> None:
    query = photos / "red" / "0r.png"
    with Gallery(filled) as gallery:
        result = gallery.search(query, change="blue", limit=10)
        assert (result.change, result.query) == ("blue", str(query))
        assert query.name not in {hit.path.name for hit in result.hits}
        order = [hit.scores["change"] for hit in result.hits]
        assert order == sorted(order, reverse=True)
        with pytest.raises(QueryError, match="takes no text"):
            gallery.search(query, change="blue", text="red")
        with pytest.raises(QueryError, match="needs an image to be changed"):
            gallery.search(change="blue")


def test_a_combiner_of_the_pair_is_used(
    gallery: Gallery, photos: Path, pair: Path, tmp_path: Path
) -> None:
    vector = gallery.query(photos / "red" / "1r.png").vector
    towards = []
    for each in (pair, write_pair(tmp_path / "combined", combiner=True)):
        gallery.add_text_model(each)
        meaning = gallery._meanings.required(gallery._layout)
        towards.append(meaning.of_change(vector, "blue") @ meaning.text.encode("blue"))
    assert gallery.text_model().combines
    assert towards[1] > towards[0]  # it adds the words twice


def test_it_is_replaced_and_removed_without_a_trace(
    gallery: Gallery, photos: Path, pair: Path
) -> None:
    added = gallery.add_text_model(pair)
    assert (added.name, added.licence, added.anchors) == ("tiny", "mit", 3 * EACH)
    assert gallery.info().text_model == added
    again = gallery.add_text_model(pair)
    assert [path.name for path in gallery.folder.glob("text-*")] == [again.folder]
    assert gallery.search(text="blue").hits
    assert gallery.remove_text_model()
    assert not gallery.remove_text_model()
    assert not list(gallery.folder.glob("text*"))
    assert not gallery.search(text="blue").hits
    with pytest.raises(QueryError, match="glocal text --model"):
        gallery.search(photos / "red" / "0r.png", change="blue")


def test_a_run_that_fails_leaves_the_model_that_was_there(
    filled: Path, pair: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with Gallery(filled) as gallery:
        before = gallery.text_model()
        monkeypatch.setattr(text_model, "save_bridge", fails)
        with pytest.raises(KeyboardInterrupt):
            gallery.add_text_model(pair)
        assert gallery.text_model() == before
        assert [path.name for path in filled.glob("text-*")] == [before.folder]
        assert gallery.search(text="blue").hits


def test_a_text_side_with_weights_in_a_second_file_is_refused_and_the_old_one_stays(
    gallery: Gallery, pair: Path, tmp_path: Path
) -> None:
    apart = tmp_path / "apart"
    shutil.copytree(pair, apart)
    loaded = onnx.load(apart / "text_model.onnx")
    onnx.save(
        loaded,
        apart / "text_model.onnx",
        save_as_external_data=True,
        location="text_model.onnx_data",
        size_threshold=64,  # not the constants that shapes follow from
    )
    before = gallery.text_model()
    with pytest.raises(ModelError, match="without external data"):
        gallery.add_text_model(apart)
    assert gallery.text_model() == before
    assert colours(gallery.search(text="blue", limit=3)) == ["b", "b", "b"]


def test_a_model_that_was_fitted_to_other_vectors_is_not_used(
    gallery: Gallery, photos: Path
) -> None:
    described = gallery.folder / "text.json"
    space = gallery.space
    described.write_text(described.read_text().replace(f'"{space}"', '"left long ago"'))
    assert not gallery.search(text="blue").hits
    with pytest.raises(QueryError, match="tiny is of others"):
        gallery.search(photos / "red" / "0r.png", change="blue")
    assert "fit it again" in CliRunner().invoke(
        glocal, ["text", "--gallery", str(gallery.folder)]
    ).output  # fmt: skip
    described.write_text("{")
    with pytest.raises(GalleryError, match="fit the text model again"):
        gallery.search(text="blue")


def test_too_few_images_are_refused(
    open_gallery: Callable[..., Gallery], photos: Path, pair: Path
) -> None:
    gallery = open_gallery(regions="none")
    gallery.add(photos / "red" / "0r.png")
    with pytest.raises(GalleryError, match=r"1 images .* index at least 100"):
        gallery.add_text_model(pair)


def test_the_command_says_what_there_is_and_how_to_add_more(
    open_gallery: Callable[..., Gallery], filled: Path
) -> None:
    run = CliRunner().invoke
    bare = str(open_gallery().folder)
    said = run(glocal, ["text", "--gallery", bare]).output
    assert "as they are written" in said
    assert 'pip install "glocal[text]"' in said
    assert "licence   mit" in run(glocal, ["text", "--gallery", str(filled)]).output
    shown = run(glocal, ["info", "--gallery", str(filled)]).output
    assert "by tiny, as they are meant" in shown
    found = run(glocal, ["search", "--gallery", str(filled), "--text", "blue", "-n", "2"])
    assert found.exit_code == 0
    assert "meaning: " in found.output


def test_a_damaged_description_is_told_and_replaced_as_the_error_says(
    gallery: Gallery, pair: Path
) -> None:
    (gallery.folder / "text.json").write_text("{", encoding="utf-8")
    run, folder = CliRunner().invoke, str(gallery.folder)
    assert gallery.info().text_model is None  # and all the rest is told
    with pytest.raises(GalleryError, match="fit the text model again: glocal text --model"):
        gallery.search(text="blue")
    assert run(glocal, ["text", "--gallery", folder, "--model", str(pair)]).exit_code == 0
    assert gallery.info().text_model is not None
