from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import pytest
from image_samples import sample

from glocal.errors import ImageError, ImageMissingError
from glocal.images import Limits, has_image_suffix, load, read_bytes
from glocal.images import formats as formats_module
from glocal.images import sources as sources_module

LIMITS = Limits()


def test_a_file_that_just_fits_and_one_that_does_not(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * 5000)
    assert read_bytes(path, Limits(max_bytes=5000)) == b"x" * 5000
    with pytest.raises(ImageError, match="--max-bytes"):
        read_bytes(path, Limits(max_bytes=4999))


def test_missing_is_its_own_error(tmp_path: Path) -> None:
    for path in (tmp_path / "gone.jpg", tmp_path / "gone" / "photo.jpg"):
        with pytest.raises(ImageMissingError, match=r"(?m)^no such file$") as caught:
            load(path)
        assert isinstance(caught.value, FileNotFoundError)
        assert caught.value.__notes__ == [f"image: {path}"]
    (tmp_path / "file").touch()
    with pytest.raises(ImageMissingError):
        load(tmp_path / "file" / "photo.jpg")


def test_empty_file_and_empty_bytes(tmp_path: Path) -> None:
    path = tmp_path / "empty.jpg"
    path.touch()
    for source in (path, b"", io.BytesIO()):
        with pytest.raises(ImageError, match=r"(?m)^empty file \(0 bytes\)$"):
            load(source)


def test_directory(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"(?m)^is a directory$"):
        read_bytes(tmp_path, LIMITS)


def test_nul_in_the_name() -> None:
    with pytest.raises(ImageError, match=r"not readable"):
        read_bytes("a\x00b.jpg", LIMITS)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes here")
def test_a_named_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    path = tmp_path / "photo.jpg"
    os.mkfifo(path)
    with pytest.raises(ImageError, match="a named pipe"):
        read_bytes(path, LIMITS)


@pytest.mark.skipif(not Path("/dev/zero").exists(), reason="no devices here")
def test_devices_and_sockets_are_refused(tmp_path: Path) -> None:
    for device in ("/dev/zero", "/dev/null"):
        with pytest.raises(ImageError, match="a device"):
            read_bytes(device, LIMITS)
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        with pytest.raises(ImageError, match=r"not readable|a socket"):
            read_bytes(path, LIMITS)


@pytest.mark.skipif(not hasattr(os, "symlink"), reason="no links here")
def test_a_link_that_goes_round_is_not_readable(tmp_path: Path) -> None:
    path = tmp_path / "loop.jpg"
    path.symlink_to(path)
    with pytest.raises(ImageError, match=r"not readable: .*link"):
        read_bytes(path, LIMITS)


def test_permission_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> int:
        raise PermissionError(13, "Permission denied", "/secret/place")

    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x")
    monkeypatch.setattr(sources_module.os, "open", refuse)
    with pytest.raises(ImageError, match=r"(?m)^not readable: permission denied$"):
        read_bytes(path, LIMITS)


def test_a_file_that_grows_while_it_is_read_is_cut_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "growing.tif"
    path.write_bytes(b"x" * 100)
    asked: list[int] = []

    def endless(_descriptor: int, size: int) -> bytes:
        asked.append(size)
        return b"x" * size

    monkeypatch.setattr(sources_module.os, "read", endless)
    with pytest.raises(ImageError, match="--max-bytes"):
        read_bytes(path, Limits(max_bytes=1000))
    assert sum(asked) == 1001


def test_an_error_while_reading_is_told_and_the_file_closed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(b"x")
    closed: list[int] = []
    close = os.close

    def broken(*_: object) -> bytes:
        raise OSError(5, "Input/output error")

    def closing(descriptor: int) -> None:
        closed.append(descriptor)
        close(descriptor)

    monkeypatch.setattr(sources_module.os, "read", broken)
    monkeypatch.setattr(sources_module.os, "close", closing)
    with pytest.raises(ImageError, match=r"(?m)^not readable: input/output error$"):
        read_bytes(path, LIMITS)
    assert len(closed) == 1


def test_streams() -> None:
    class Short(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            return super().read(min(7, size or 7))

    assert load(Short(sample("PNG"))).facts.bytes == len(sample("PNG"))
    with pytest.raises(ImageError, match="binary mode"):
        load(io.StringIO("text"))  # type: ignore[arg-type]
    closed = io.BytesIO(b"x")
    closed.close()
    with pytest.raises(ImageError, match=r"not readable: .*closed"):
        load(closed)


def test_image_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("a.jpg", "A.JPEG", "b.HeIc", "x.tar.png", Path("d") / "e.avif"):
        assert has_image_suffix(name), name
    for name in ("jpg", ".jpg", "a.txt", "a.jpg.part", "a.svg", "a.pdf", "", "a."):
        assert not has_image_suffix(name), name
    for installed in (True, False):
        monkeypatch.setattr(formats_module, "_has_package", lambda _, answer=installed: answer)
        assert has_image_suffix("a.CR2") is installed


@pytest.mark.skipif(not os.path.isdir("/dev/fd"), reason="the system names no descriptors")
@pytest.mark.parametrize("data", [sample("JPEG"), b""])
def test_what_a_shell_gives_open_is_read(data: bytes) -> None:
    """As `glocal search <(cat query.jpg)` names it."""
    reading, writing = os.pipe()
    os.write(writing, data)
    os.close(writing)
    try:
        if data:
            assert load(f"/dev/fd/{reading}").facts.format == "JPEG"
        else:
            with pytest.raises(ImageError, match="empty"):
                load(f"/dev/fd/{reading}")
    finally:
        os.close(reading)
