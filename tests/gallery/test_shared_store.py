"""The holder and its clients under attack and in trouble, beyond what `test_stores.py` tries."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from image_folders import image, write_images
from test_stores import DIM, holder, many, number, open_shared, unit

import glocal
from glocal.errors import GalleryDamagedError, GalleryError, GalleryLockedError
from glocal.gallery import Gallery
from glocal.gallery.locks import NamedLock
from glocal.gallery.stores import shared, wire

Opener = Callable[..., Gallery]
posix = pytest.mark.skipif(os.name != "posix", reason="sends signals, looks at sockets")


def note_of(folder: Path) -> dict[str, Any]:
    return NamedLock(folder / "lock", "the store").holder()


@posix
def test_silent_strangers_keep_nobody_waiting(tmp_path: Path) -> None:
    """Connections that say nothing, or half a message, and stay."""
    with holder(tmp_path), contextlib.ExitStack() as stack:
        for words in (b"", b"\0", b"\0\0\0\xff{", b"\xff\xff\xff\xff" + b"\xff" * 8):
            for _ in range(20):
                stranger = stack.enter_context(socket.socket(socket.AF_UNIX))
                stranger.connect(note_of(tmp_path)["address"])
                stranger.sendall(words)
        client = open_shared(tmp_path, timeout=5)
        client.upsert(many(5))
        assert client.status().vectors == 5
        client.close()


@posix
def test_garbage_from_one_who_has_the_key(tmp_path: Path) -> None:
    """A broken client hurts only itself: each answer is an error, and the store is as it was."""
    from multiprocessing.connection import Client

    calls: list[Any] = [
        {},
        {"call": "hello"},
        {"call": "close"},
        {"call": "__class__"},
        {"call": ["search"]},
        {"call": "search"},
        {"call": "search", "vector": "!", "limit": 1, "where": None, "exact": False},
        {"call": "search", "vector": "AAAA", "limit": 1, "where": None, "exact": False},
        {"call": "search", "vector": wire.pack_vector(unit(1)), "limit": -1, "where": None,
         "exact": False},
        {"call": "search", "vector": wire.pack_vector(unit(1)), "limit": 1, "exact": False,
         "where": ["Condition", {}]},
        {"call": "search", "vector": wire.pack_vector(unit(1)), "limit": 1, "exact": False,
         "where": ["os", "system"]},
        {"call": "upsert", "records": [{"id": "x"}]},
        {"call": "upsert", "records": [wire.pack_record(many(1)[0]) | {"vector": "AAAA"}]},
        {"call": "delete", "ids": ["nothing"]},
        {"call": "set_folders", "folders": {number(0).hex: ["x"]}},
    ]  # fmt: skip
    with holder(tmp_path):
        client = open_shared(tmp_path)
        client.upsert(many(5))
        note = note_of(tmp_path)
        for call in calls:
            with Client(note["address"]) as broken:
                broken.send_bytes(wire.encode({"call": "hello", "key": note["key"]}))
                assert broken.poll(10)
                assert "version" in wire.decode(broken.recv_bytes())
                broken.send_bytes(json.dumps(call).encode())
                assert broken.poll(10), call
                assert "error" in wire.decode(broken.recv_bytes()), call
                broken.send_bytes(b"\x80\x04\x95" + b"[" * 100_000)
                assert broken.poll(10)
                assert "error" in wire.decode(broken.recv_bytes())
        assert dict(client.scan()) == {r.id: r.attributes.folders for r in many(5)}
        client.close()


@posix
@pytest.mark.parametrize(
    "note",
    [
        {"address": "/nowhere", "key": "00"},
        {"address": ["localhost", 10**9], "key": "00"},
        {"address": ["localhost", -1], "key": "00"},
        {"address": ["\udcff", 1], "key": "00"},
        {"address": "a\0b", "key": "00"},
        {"address": "x" * 5000, "key": "00"},
        {"address": "", "key": "00"},
        {"address": 7, "key": 7},
        {"address": {"a": 1}, "key": None},
        {"address": [[]], "key": []},
        {},
    ],
)
def test_a_forged_note_only_keeps_one_waiting(tmp_path: Path, note: dict[str, Any]) -> None:
    with holder(tmp_path) as process:
        right = (tmp_path / "lock.json").read_text()
        (tmp_path / "lock.json").write_text(json.dumps(note))
        with pytest.raises(GalleryLockedError):
            open_shared(tmp_path, timeout=0.2)
        (tmp_path / "lock.json").write_text(right)
        open_shared(tmp_path, timeout=5).close()
        assert process.poll() is None


@posix
@pytest.mark.parametrize("answer", [b"\x80\x04N.", b"{}", b"[]", b"null", b'{"version": 99}', b""])
def test_a_false_holder_can_run_nothing(tmp_path: Path, answer: bytes) -> None:
    """A note in a shared folder leads to a stranger's socket, who answers as he likes."""
    from multiprocessing.connection import Listener

    lock = NamedLock(tmp_path / "lock", "the store")
    with Listener(str(tmp_path / "s")) as listener:
        assert lock.try_acquire(address=listener.address, key="00")

        def answer_all() -> None:
            with contextlib.suppress(OSError, EOFError):
                while True:
                    with listener.accept() as connection:
                        connection.recv_bytes()
                        connection.send_bytes(answer)

        threading.Thread(target=answer_all, daemon=True).start()
        with pytest.raises(GalleryError):
            open_shared(tmp_path, timeout=0.3)
        lock.release()


@posix
def test_a_holder_stopped_in_the_middle_of_large_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than a socket's buffer takes: sending must not wait for ever either."""
    monkeypatch.setattr(shared, "ANSWER_WITHIN", 1.0)
    with holder(tmp_path) as process:
        client = open_shared(tmp_path, timeout=1)
        client.upsert(many(10))
        process.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with pytest.raises(GalleryLockedError, match=f"process {process.pid} "):
            client.upsert(many(2000, 100))
        assert time.monotonic() - began < 30
        process.send_signal(signal.SIGCONT)
        client.upsert(many(2000, 100))
        assert client.status().vectors == 2010
        client.close()


def test_much_goes_through_a_holder_in_pieces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What would not fit into one message, both ways."""
    monkeypatch.setattr(shared, "_PAGE", 100)
    monkeypatch.setattr(wire, "MAX_MESSAGE", 50_000)
    monkeypatch.setattr(wire, "SCAN_PAGE", 20)
    mine, client = open_shared(tmp_path), open_shared(tmp_path)
    assert client._local is None
    client.upsert(many(1000))
    ids = [number(i) for i in range(1000)]
    assert len(client.vectors(ids)) == 1000
    client.set_folders(dict.fromkeys(ids, (4, 5)))
    assert dict(client.scan()) == dict.fromkeys(ids, (4, 5))
    client.delete(ids[:990])
    assert mine.status().vectors == 10
    client.close()
    mine.close()


def test_an_answer_too_large_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_MESSAGE", 2_000)
    mine, client = open_shared(tmp_path), open_shared(tmp_path)
    mine.upsert(many(500))
    outcome: list[object] = []

    def ask() -> None:
        try:
            outcome.append(client.search(unit(1), 500))
        except GalleryError as error:
            outcome.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(10)
    assert outcome, "asks again and again"
    mine.close()
    client.close()


def test_closing_under_many_searches(open_gallery: Opener, tmp_path: Path) -> None:
    """Each search ends well or says that the gallery is closed; none speaks of damage."""
    write_images(tmp_path / "photos", 10)
    for _ in range(5):
        gallery = open_gallery()
        gallery.add(tmp_path / "photos")
        query, errors, searched = image(1), [], threading.Barrier(5)

        def search(
            gallery: Gallery = gallery,
            query: bytes = query,
            errors: list[Exception] = errors,
            searched: threading.Barrier = searched,
        ) -> None:
            gallery.search(query)
            searched.wait()
            try:
                while True:
                    gallery.search(query)
            except Exception as raised:  # noqa: BLE001 - looked at below
                errors.append(raised)

        threads = [threading.Thread(target=search) for _ in range(4)]
        for thread in threads:
            thread.start()
        searched.wait()
        gallery.close()
        for thread in threads:
            thread.join()
        assert len(errors) == 4
        for error in errors:
            assert isinstance(error, GalleryError), repr(error)
            assert not isinstance(error, GalleryDamagedError), repr(error)
            assert "closed" in str(error)


@posix
def test_a_long_name_for_temporary_files(tmp_path: Path, model: Path) -> None:
    """A socket's path has about 100 bytes; without one the gallery must still open."""
    small_objects = tmp_path / ("t" * 100) / "t"
    small_objects.mkdir(parents=True)
    write_images(tmp_path / "photos", 3)
    command = [sys.executable, "-m", "glocal", "index", str(tmp_path / "photos")]
    command += ["--gallery", str(tmp_path / "gallery"), "--model", str(model)]
    run = subprocess.run(
        command,
        env=os.environ | {"TMPDIR": str(small_objects)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert "Traceback" not in run.stderr


def test_three_processes_pass_the_store_on(tmp_path: Path) -> None:
    """Two clients write while the holder is killed; what either was told is there stays."""
    with holder(tmp_path) as process:
        clients = [open_shared(tmp_path), open_shared(tmp_path)]
        written: list[set[int]] = [set(), set()]
        errors: list[Exception] = []

        def write(which: int) -> None:
            try:
                for step in range(150):
                    i = 1000 * which + step
                    clients[which].upsert(many(1, i))
                    written[which].add(i)
                    if step % 10 == 9:
                        clients[which].delete([number(i - 5)])
                        written[which].discard(i - 5)
            except Exception as error:  # noqa: BLE001 - it fails the test, in its own thread
                errors.append(error)

        threads = [threading.Thread(target=write, args=(which,)) for which in (0, 1)]
        for thread in threads:
            thread.start()
        while not (len(written[0]) > 30 and len(written[1]) > 30) and not errors:
            time.sleep(0.001)
        process.kill()
        for thread in threads:
            thread.join(60)
        assert errors == []
        ids = {number(i) for i in written[0] | written[1]}
        assert {i for i, _ in clients[0].scan()} == ids
        vectors = clients[1].vectors(sorted(ids))
        assert all(np.allclose(v, unit(i.int - 1), atol=2e-3) for i, v in vectors.items())
        for client in clients:
            client.close()
    again = open_shared(tmp_path)
    assert {i for i, _ in again.scan()} == ids
    assert again.vectors([number(0)])[number(0)].shape == (DIM,)
    again.close()


def test_searches_beside_a_run_never_fail(tmp_path: Path, model: Path) -> None:
    """Short-lived processes that search, from before the gallery's first image to the end."""
    photos = tmp_path / "photos"
    write_images(photos, 900)
    where = ["--gallery", str(tmp_path / "gallery")]
    glocal_ = [sys.executable, "-m", "glocal"]
    Gallery(tmp_path / "gallery", model=str(model)).close()
    index = ["index", str(photos), "--detector", "own", *where]  # which finds none: quick
    run = subprocess.Popen([*glocal_, *index], stdout=-1, stderr=-1)
    searched = 0
    while run.poll() is None or searched < 3:
        searches = [
            subprocess.Popen(
                [*glocal_, "search", str(photos / "p0001.jpg"), *where], stdout=-1, stderr=-1
            )
            for _ in range(2)
        ]
        for search in searches:
            _, said = search.communicate(timeout=60)
            assert search.returncode == 0, said
            searched += 1
    assert run.returncode == 0, run.communicate()[1]
    run.communicate()
    with glocal.open(tmp_path / "gallery") as gallery:
        assert gallery.info().files == 900
        assert gallery.check(sample=None).sound
