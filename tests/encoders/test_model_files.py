"""Models are found by a bundled name, a path or a hub name."""

import hashlib
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from made_model import write_model

from glocal.encoders import DEFAULT_MODEL, bundled_models, find_model, load_encoder
from glocal.errors import MissingExtraError, ModelError

COMMIT = "0123456789abcdef0123456789abcdef01234567"


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_default_model_is_bundled_and_small() -> None:
    path = bundled_models()[DEFAULT_MODEL]
    assert path.stat().st_size <= 14_000_000
    card = load_encoder().card
    assert card.name == DEFAULT_MODEL
    assert card.licence == "Apache-2.0"


def test_a_model_is_found_by_name_and_by_path(tmp_path: Path) -> None:
    path = write_model(tmp_path / "mine.onnx")
    assert find_model(str(path)) == path
    assert find_model(DEFAULT_MODEL) == bundled_models()[DEFAULT_MODEL]


def test_a_model_file_with_another_hash_is_refused(tmp_path: Path) -> None:
    path = write_model(tmp_path / "mine.onnx")
    assert find_model(str(path), sha256(path).upper()) == path
    with pytest.raises(ModelError, match="SHA-256"):
        find_model(str(path), "0" * 64)


@pytest.mark.parametrize("spec", ["no-such-model", "nowhere/else/at/all.onnx", "", "a b/c"])
def test_an_unknown_name_lists_the_known_ones(spec: str) -> None:
    with pytest.raises(ModelError, match=DEFAULT_MODEL):
        find_model(spec)


class Hub(BaseHTTPRequestHandler):
    """Answers for one repository, owner/tiny, the way the hub does."""

    model = b""

    def do_HEAD(self) -> None:
        self.answer(body=False)

    def do_GET(self) -> None:
        self.answer(body=True)

    def answer(self, *, body: bool) -> None:
        if self.path in (f"/owner/tiny/resolve/{r}/model.onnx" for r in ("main", COMMIT)):
            self.send_response(200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(self.model).hexdigest()}"')
            self.send_header("Content-Length", str(len(self.model)))
            self.end_headers()
            if body:
                self.wfile.write(self.model)
        else:
            self.send_response(404)
            self.send_header("X-Error-Code", "RepoNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A hub on this machine; yields the model it serves."""
    pytest.importorskip("huggingface_hub", reason="needs the extra hub")
    from huggingface_hub import constants

    served = write_model(tmp_path / "served.onnx")
    Hub.model = served.read_bytes()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setattr(constants, "ENDPOINT", address)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        address + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    yield served
    server.shutdown()
    server.server_close()


def test_a_model_is_downloaded_from_the_hub_once(hub: Path) -> None:
    path = find_model("owner/tiny", sha256(hub))
    assert path.read_bytes() == hub.read_bytes()
    assert find_model(f"owner/tiny:model.onnx@{COMMIT}") == path
    assert load_encoder("owner/tiny").card.name == "tiny"


def test_a_model_missing_on_the_hub_is_explained(hub: Path) -> None:
    with pytest.raises(ModelError, match="cannot be downloaded"):
        find_model("owner/other")


def test_a_missing_extra_is_reported_with_the_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(MissingExtraError, match=r'pip install "glocal\[hub\]"'):
        find_model("owner/tiny")
