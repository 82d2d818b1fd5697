"""The page in a real Chromium, against a real server in a process of its own.

Screenshots go to the folder that GLOCAL_SCREENSHOTS names, if it names one.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import scenes
from running import Server, run_glocal
from tab import Gallery, Tab

import glocal
from made_pair import write_pair, write_photos
from tiny_model import write_model

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]


UNBLURRED = """{
  const sheet = new CSSStyleSheet();
  sheet.replaceSync("*, ::backdrop { backdrop-filter: none !important }");
  document.adoptedStyleSheets.push(sheet);
}"""
"""Without a GPU, blurring what lies behind headers and dialogs, for every frame, takes more of the
processor than all the rest of the page and of the server together."""


def _serve(home: Path, *options: str) -> Iterator[str]:
    """Run `glocal serve`, started cold, on a free port until the tests are done with it."""
    command = [sys.executable, "-m", "glocal", "serve", "--port", "0", "--processes", "0", *options]
    surroundings = {**os.environ, "GLOCAL_GALLERY": str(home / "gallery")}
    surroundings["XDG_CACHE_HOME"] = str(home / "cache")
    with subprocess.Popen(command, env=surroundings, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        try:
            said = server.stderr.readline()
            found = re.search(r"http://\S+", said)
            assert found, said + server.stderr.read()
            yield found[0]
        finally:
            server.send_signal(signal.SIGTERM)
            server.communicate(timeout=30)


@pytest.fixture(scope="session")
def gallery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gallery]:
    """Ninety images in three folders, one of them twice; no test changes it."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian: apt-get install chromium)")
    pytest.importorskip("playwright", reason="playwright is not installed")
    pytest.importorskip("fastapi", reason="the extra serve is not installed")
    home = tmp_path_factory.mktemp("page")
    images = home / "images"
    scenes.write(images / "town", range(40))
    scenes.write(images / "coast" / "summer", range(40, 70))
    scenes.write(images / "coast", range(70, 90))
    shutil.copy(images / "town" / "scene-005.jpg", images / "coast" / "again.jpg")
    run_glocal("index", images, home=home)
    for address in _serve(home, "--show-positions", "--allow-folder", str(images)):
        yield Gallery(images, address)


@pytest.fixture
def own_gallery(tmp_path: Path, browser: Any) -> Iterator[Gallery]:
    """A small gallery behind a token, with images that are not in it yet."""
    images = tmp_path / "images"
    scenes.write(images / "old", range(6))
    run_glocal("index", images, home=tmp_path)
    scenes.write(images / "new", range(6, 30))
    (images / "new" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0 no more")
    (tmp_path / "sent").mkdir()
    options = ("--allow-folder", images, "--upload-folder", tmp_path / "sent")
    server = Server(tmp_path, *options, env={"GLOCAL_TOKEN": "a-token-for-the-page-0123"})
    yield Gallery(images, f"{server.address}/")
    server.stop()


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory, gallery: Gallery) -> Iterator[Gallery]:
    """A gallery with copies: a crop, another encoding that is there twice, and a view of a thing.

    No test changes it.
    """
    home = tmp_path_factory.mktemp("copies")
    images = home / "images"
    scenes.write(images, range(10))
    (images / "sent").mkdir()
    (images / "sent" / "crop-003.jpg").write_bytes(scenes.altered(3))
    scenes.scene(6).save(images / "sent" / "again-006.webp", quality=60)
    shutil.copy(images / "sent" / "again-006.webp", images / "sent" / "again-006-2.webp")
    scenes.elsewhere(7).save(images / "elsewhere-007.jpg", quality=90)
    run_glocal("index", images, home=home)
    server = Server(home)
    yield Gallery(images, f"{server.address}/")
    server.stop()


_running: list[Any] = []
_ending = contextlib.ExitStack()


@pytest.fixture
def colours(tmp_path: Path) -> Iterator[Gallery]:
    """A gallery of images of three colours, with a text model that knows these."""
    pytest.importorskip("tokenizers", reason="the extra text is not installed")
    images = write_photos(tmp_path / "images", 34)
    options = {"model": str(write_model(tmp_path / "tiny.onnx")), "detector": "own"}
    with glocal.open(tmp_path / "gallery", regions="none", **options) as opened:
        opened.add(images)
        opened.add_text_model(write_pair(tmp_path / "pair"))
    for address in _serve(tmp_path):
        yield Gallery(images, address)


@pytest.fixture(scope="module")
def browser(gallery: Gallery) -> Any:
    """One Chromium for all tests of the page that follow one another."""
    from playwright.sync_api import sync_playwright

    if not _running:
        playwright = _ending.enter_context(sync_playwright())
        _running.append(playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS))
        _ending.callback(_running[0].close)
    return _running[0]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(nextitem: pytest.Item | None) -> Iterator[None]:
    """End Chromium before tests of anything else: playwright keeps an event loop running."""
    yield
    if nextitem is None or Path(__file__).parent not in nextitem.path.parents:
        _running.clear()
        _ending.close()


@pytest.fixture
def new_tab(browser: Any, gallery: Gallery) -> Iterator[Callable[..., Tab]]:
    """Open the page in a context of its own; afterwards its console must hold no error."""
    opened: list[tuple[Any, Tab]] = []

    def make(
        address: str | None = None, *, size: tuple[int, int] = (1280, 800), **more: Any
    ) -> Tab:
        width, height = size
        context = browser.new_context(
            viewport={"width": width, "height": height}, reduced_motion="reduce", **more
        )
        context.set_default_timeout(30_000)
        context.add_init_script(UNBLURRED)
        page = context.new_page()
        tab = Tab(page, address or gallery.address)
        page.on("console", lambda said: said.type == "error" and tab.note(said.text))
        page.on("pageerror", lambda error: tab.errors.append(str(error)))
        opened.append((context, tab))
        return tab

    yield make
    for context, tab in opened:
        context.close()
        assert not tab.errors


@pytest.fixture
def tab(new_tab: Callable[..., Tab]) -> Tab:
    """The page on a desk."""
    return new_tab()


@pytest.fixture(scope="session")
def axe() -> str:
    """The script that finds what people with disabilities cannot use."""
    for package in ("axe_core_python", "axe_playwright_python"):
        found = importlib.util.find_spec(package)
        if found and found.origin:
            return (Path(found.origin).parent / "axe.min.js").read_text(encoding="utf-8")
    pytest.skip("axe-core-python is not installed")
