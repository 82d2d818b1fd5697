from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import TOKEN, Server, exif, photo

from glocal.gallery import Gallery


def fill(home: Path) -> Path:
    """Twelve images: dated, placed, turned, copied, in several formats; indexed."""
    folder = home / "images"
    (folder / "trip").mkdir(parents=True)
    for seed in range(6):
        more: dict[str, Any] = {}
        if seed < 4:
            taken = f"20{10 + seed}:05:17 10:00:00"
            more["exif"] = exif(taken=taken, camera="Canon EOS R5", place=seed < 2)
        (folder / f"{seed}.jpg").write_bytes(photo(seed, **more))
    turned = exif(place=True, held=6)
    (folder / "trip" / "turned.jpg").write_bytes(photo(6, size=(160, 100), exif=turned))
    (folder / "trip" / "copy.jpg").write_bytes((folder / "5.jpg").read_bytes())
    for seed, kind in ((7, "PNG"), (8, "WEBP"), (9, "TIFF"), (10, "GIF")):
        more = {} if kind == "GIF" else {"exif": exif(place=True)}
        (folder / "trip" / f"{seed}.{kind.lower()}").write_bytes(photo(seed, kind=kind, **more))
    with Gallery(home / "gallery") as gallery:
        assert gallery.add(folder).added == 12
    return folder


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home with a gallery that no test changes."""
    home = tmp_path_factory.mktemp("home")
    fill(home)
    return home


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[Server]:
    """A server of that gallery, as it is started without any option but folders."""
    running = Server(home, "--allow-folder", home / "images" / "trip")
    yield running
    status, said = running.stop()
    assert status == 0
    assert "Traceback" not in said


@pytest.fixture(scope="session")
def guarded(home: Path) -> Iterator[Server]:
    """A server of that gallery that wants a token and shows positions."""
    running = Server(home, "--show-positions", env={"GLOCAL_TOKEN": TOKEN})
    yield running
    status, said = running.stop()
    assert status == 0
    assert "Traceback" not in said


@pytest.fixture
def own_home(tmp_path: Path) -> Path:
    """A home with a gallery of the test's own."""
    fill(tmp_path)
    return tmp_path


@pytest.fixture
def start() -> Iterator[Callable[..., Server]]:
    """Starts servers, and ends them."""
    running: list[Server] = []

    def start_it(*arguments: Any, **more: Any) -> Server:
        running.append(Server(*arguments, **more))
        return running[-1]

    yield start_it
    for one in running:
        if one.process.stderr is not None and not one.process.stderr.closed:
            one.stop()
