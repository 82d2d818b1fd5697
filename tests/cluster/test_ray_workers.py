"""What Ray's workers do, with the real Ray where it is wanted; each start of it takes seconds."""

from __future__ import annotations

import importlib.util
import os
import pickle
import signal
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from image_folders import write_images

from glocal import __version__
from glocal.cluster.config import RaySettings
from glocal.cluster.milvus import Milvus
from glocal.cluster.ray_worker import Refused, read_files, start
from glocal.cluster.ray_workers import RayWorkers
from glocal.encoders.hashes import file_sha256
from glocal.errors import GalleryError, MissingExtraError
from glocal.gallery import Gallery
from glocal.gallery.reading_files import FileReader, Found, Recipe
from glocal.gallery.walk import walk
from glocal.images import Limits
from tiny_model import write_model

needs_ray = pytest.mark.skipif(
    os.environ.get("GLOCAL_RAY_TESTS") != "1" or importlib.util.find_spec("ray") is None,
    reason="install ray and set GLOCAL_RAY_TESTS=1 to test with the real one",
)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("model") / "tiny.onnx")


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[Found]:
    folder = tmp_path_factory.mktemp("photos")
    write_images(folder, 60)
    (folder / "damaged.jpg").write_bytes(b"none")
    return [(each.path, file) for each in walk(folder, folder / "g") for file in each.files]


@pytest.fixture(scope="module")
def recipe(model: Path) -> Recipe:
    return Recipe(file_sha256(model), "own", Limits(), None)


def test_a_worker_reads_as_this_process_does(
    model: Path, recipe: Recipe, found: list[Found]
) -> None:
    assert start(__version__, recipe, [model.read_bytes()], 2) == []
    reader = FileReader(recipe.describer(model), lambda _: False)
    sent = pickle.loads(pickle.dumps(read_files(found)))  # noqa: S301 - as Ray sends it
    for mine, theirs in zip(map(reader.read, found), sent, strict=True):
        assert (mine.file, mine.content, mine.reason) == (
            theirs.file,
            theirs.content,
            theirs.reason,
        )
        if mine.description is not None:
            assert theirs.description is not None
            assert mine.description.small == theirs.description.small
            np.testing.assert_array_equal(
                mine.description.features.vector, theirs.description.features.vector
            )


def test_a_worker_says_why_it_cannot_begin(model: Path, recipe: Recipe) -> None:
    other = start("0.0", recipe, [b""], 1)
    assert isinstance(other, Refused)
    assert "install the same version" in other.reason
    damaged = start(__version__, recipe, [model.read_bytes()[:-1]], 1)
    assert isinstance(damaged, Refused)
    assert "damaged on their way" in damaged.reason


def test_the_file_of_the_cluster_decides(tmp_path: Path) -> None:
    config = tmp_path / "cluster.toml"
    config.write_text('uri = "http://localhost:1"')
    assert Milvus.workers(config) is None
    config.write_text('uri = "http://localhost:1"\n[ray]\nworkers = 3')
    assert isinstance(Milvus.workers(config), RayWorkers)


def test_without_ray_the_error_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, model: Path, recipe: Recipe, found: list[Found]
) -> None:
    monkeypatch.setattr("glocal.cluster.ray_workers.find_spec", lambda _: None)
    with pytest.raises(MissingExtraError, match=r"glocal\[ray\]"):
        next(RayWorkers(RaySettings()).read(recipe, model, found))


@pytest.fixture(scope="module")
def ray_here() -> Iterator[None]:
    import ray

    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


@needs_ray
@pytest.mark.filterwarnings("ignore")
class TestRealRay:
    def test_it_reads_all_though_workers_are_killed(
        self, ray_here: None, model: Path, recipe: Recipe, found: list[Found]
    ) -> None:
        workers = RayWorkers(RaySettings(workers=2, threads=1))
        names, killed = [], 0
        for read in workers.read(recipe, model, found * 10):
            names.append(read.file.name)
            if len(names) in (20, 200) and (pids := _actors()):
                os.kill(pids[0], signal.SIGKILL)
                killed += 1
        assert killed == 2
        assert sorted(names) == sorted(file.name for _, file in found * 10)

    def test_a_gallery_is_the_same(
        self,
        ray_here: None,
        model: Path,
        found: list[Found],
        tmp_path: Path,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        folder = found[0][0]
        with Gallery(tmp_path / "one", model=str(model), detector="own") as one:
            right = one.add(folder)
            vectors = one._store().vectors(sorted(one._catalog.content_ids()))
        monkeypatch.setattr(
            "glocal.gallery.changing.Changes._workers",
            lambda _: RayWorkers(RaySettings(workers=2)),
        )
        with Gallery(tmp_path / "other", model=str(model), detector="own") as other:
            report = other.add(folder)
            assert (report.added, len(report.failed)) == (right.added, len(right.failed))
            assert report.failed[0].reason == right.failed[0].reason
            found_vectors = other._store().vectors(sorted(other._catalog.content_ids()))
            assert found_vectors.keys() == vectors.keys()
            for i, vector in vectors.items():
                np.testing.assert_array_equal(found_vectors[i], vector)
            assert other.check().sound
            assert other.add(folder).unchanged == right.added

    def test_another_model_than_promised_is_refused(
        self, ray_here: None, model: Path, recipe: Recipe, found: list[Found]
    ) -> None:
        other = Recipe("0" * 64, recipe.detector, recipe.limits, None)
        with pytest.raises(GalleryError, match="damaged on their way"):
            list(RayWorkers(RaySettings(workers=1)).read(other, model, found))

    def test_too_few_processors_are_told(
        self, ray_here: None, model: Path, recipe: Recipe, found: list[Found]
    ) -> None:
        import ray

        @ray.remote(num_cpus=2)
        class Busy:
            def begin(self) -> None: ...

        busy = Busy.remote()
        ray.get(busy.begin.remote())
        with pytest.raises(GalleryError, match="no worker has started"):
            list(RayWorkers(RaySettings(workers=1, start=3)).read(recipe, model, found))
        ray.kill(busy)


def test_no_cluster_is_told(
    model: Path, recipe: Recipe, found: list[Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.environ.get("GLOCAL_RAY_TESTS") != "1":
        pytest.skip("set GLOCAL_RAY_TESTS=1")
    import ray

    ray.shutdown()
    monkeypatch.setenv("RAY_gcs_rpc_server_reconnect_timeout_s", "1")
    with pytest.raises(GalleryError, match="there is no Ray cluster at 'auto' that takes"):
        next(RayWorkers(RaySettings()).read(recipe, model, found))


def _actors() -> list[int]:
    """Processes of the workers, by what Ray calls them."""
    pids = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                line = (entry / "cmdline").read_bytes()
                parents = (entry / "status").read_text()
            except OSError:
                continue
            if line.startswith(b"ray::_Worker") and f"Uid:\t{os.getuid()}" in parents:
                pids.append(int(entry.name))
    return sorted(pids)
