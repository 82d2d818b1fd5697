"""The lock between processes, and the note beside it, which nobody may have to trust."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from glocal.errors import GalleryLockedError
from glocal.gallery.locks import NamedLock

HOLD = """
import sys, time
from pathlib import Path
from glocal.gallery.locks import NamedLock
lock = NamedLock(Path(sys.argv[1]), "the thing")
lock.acquire(10)
print("held", flush=True)
sys.stdin.readline()
lock.release()
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "lock"


def hold(path: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=-1, stdout=-1, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def test_one_holds_and_is_named(path: Path) -> None:
    first, second = NamedLock(path, "the thing"), NamedLock(path, "the thing")
    assert first.try_acquire(address="here")
    assert first.held
    assert first.holder()["address"] == "here"
    assert not second.try_acquire(address="there")
    with pytest.raises(GalleryLockedError, match=f"the thing is in use by process {os.getpid()} "):
        second.acquire(0.05)
    first.release()
    first.release()
    second.acquire(0)
    assert second.held
    second.release()
    assert second.holder() == {}


@pytest.mark.parametrize("how", [signal.SIGTERM, "SIGKILL", None])
def test_a_lock_goes_with_its_process(path: Path, how: signal.Signals | str | None) -> None:
    if how == "SIGKILL" and sys.platform == "win32":
        pytest.skip("no such signal")
    process = hold(path)
    lock = NamedLock(path, "the thing")
    with pytest.raises(GalleryLockedError, match=f"process {process.pid} "):
        lock.acquire(0.05)
    if how is None:
        process.communicate("\n")
    else:
        process.send_signal(getattr(signal, how) if isinstance(how, str) else how)
        process.communicate()
    lock.acquire(5)
    assert lock.holder()["pid"] == os.getpid()
    lock.release()


def test_it_is_never_held_twice(path: Path) -> None:
    """Threads with locks of their own take turns; a number read and written back shows it."""
    count = 0

    def add() -> None:
        nonlocal count
        for _ in range(25):
            lock = NamedLock(path, "the thing")
            lock.acquire(30)
            seen = count
            time.sleep(0.0005)
            count = seen + 1
            lock.release()

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert count == 100


@pytest.mark.parametrize(
    "note", [b"", b"{", b"[1]", b"null", b"\xff\xfe", b"[" * 60_000, b'{"pid": {"a": []}}']
)
def test_a_note_may_be_anything(path: Path, note: bytes) -> None:
    process = hold(path)
    try:
        path.with_name("lock.json").write_bytes(note)
        with pytest.raises(GalleryLockedError, match="in use by"):
            NamedLock(path, "the thing").acquire(0.05)
    finally:
        process.kill()
        process.communicate()


def test_a_note_that_cannot_be_written_leaves_the_lock(path: Path) -> None:
    path.with_name("lock.json").mkdir()
    lock = NamedLock(path, "the thing")
    assert lock.try_acquire(key="secret")
    with pytest.raises(GalleryLockedError, match="another process"):
        NamedLock(path, "the thing").acquire(0)
    assert not [p for p in path.parent.iterdir() if p.is_file() and "secret" in p.read_text()]
    lock.release()
    assert NamedLock(path, "the thing").try_acquire()


@pytest.mark.skipif(sys.platform == "win32", reason="looks at permissions")
@pytest.mark.parametrize("planted", ["file", "link"])
def test_the_key_is_never_written_where_others_read(path: Path, planted: str) -> None:
    """In a folder that others may write to, something already has the fresh note's name."""
    fresh = path.with_name(f".lock.json.{os.getpid()}")
    stranger = path.with_name("stranger")
    stranger.write_text("")
    stranger.chmod(0o666)
    if planted == "link":
        fresh.symlink_to(stranger)
    else:
        fresh.write_text("")
        fresh.chmod(0o666)
    lock = NamedLock(path, "the thing")
    assert lock.try_acquire(key="secret")
    note = path.with_name("lock.json")
    assert json.loads(note.read_text())["key"] == "secret"
    assert not note.is_symlink()
    assert note.stat().st_mode & 0o777 == 0o600
    assert stranger.read_text() == ""
    lock.release()
