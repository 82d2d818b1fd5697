"""A real server in a process of its own, on a free port, and images for it to serve."""

from __future__ import annotations

import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import forked
from glocal.client import Client

TOKEN = "a-token-for-tests-0123456789"  # noqa: S105 - of the tests alone

TIGHT = """
import json, sys
from pathlib import Path
from glocal.gallery import Gallery
from glocal.images import Limits
from glocal.web.server import bind, serve
from glocal.web.settings import Settings
said = json.loads(sys.argv[1])
if "limits" in said:
    said["limits"] = Limits(*said["limits"])
bound = bind("127.0.0.1", 0)
def ready():
    print(f"at http://127.0.0.1:{bound.getsockname()[1]}/", file=sys.stderr, flush=True)
with Gallery(sys.argv[2], create=False) as gallery:
    serve(gallery, Settings(**said), bound, ready)
"""
"""Serves with bounds that no option sets, so that tests need not wait for the real ones."""


def photo(seed: int, *, size: tuple[int, int] = (160, 120), **more: Any) -> bytes:
    """An encoded smooth image that no other seed resembles."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(coarse).resize(size).save(file, more.pop("kind", "JPEG"), **more)
    return file.getvalue()


def exif(
    *, taken: str | None = None, camera: str | None = None, place: bool = False, held: int = 1
) -> Image.Exif:
    """EXIF as cameras write it; the place is 48°30'N 2°15'E."""
    block = Image.Exif()
    block[0x0131] = "tests"  # Pillow drops a block that has nothing at its top
    if held != 1:
        block[0x0112] = held
    if camera:
        block[0x0110] = camera
    if taken:
        block.get_ifd(0x8769)[0x9003] = taken
    if place:
        block.get_ifd(0x8825).update({1: "N", 2: (48.0, 30.0, 0.0), 3: "E", 4: (2.0, 15.0, 0.0)})
    return block


def run_glocal(*arguments: str | Path, home: Path) -> subprocess.CompletedProcess[str]:
    """Run the real program."""
    done = forked.run(arguments, env=environment(home))
    assert done.returncode == 0, done.stderr
    return done


def environment(home: Path) -> dict[str, str]:
    own = {"GLOCAL_GALLERY": str(home / "gallery"), "XDG_CACHE_HOME": str(home / "cache")}
    kept = {name: value for name, value in os.environ.items() if name != "GLOCAL_TOKEN"}
    return kept | own


class Server:
    """A running server; `stop` it."""

    def __init__(self, home: Path, *options: str | Path, **more: Any) -> None:
        tight: dict[str, Any] | None = more.pop("tight", None)
        code = None if tight is None else TIGHT
        # Processes that search take a second to start; `test_life` has a server with some.
        arguments = ["serve", "--port", "0", "--processes", "0", *map(str, options)]
        if tight is not None:
            arguments = [json.dumps(tight), str(home / "gallery")]
        env = environment(home) | more.pop("env", {})
        self.process: forked.Program | subprocess.Popen[str]
        if forked.can_fork():
            self.process = forked.Program(arguments, code=code, env=env, text=True, strict=True)
        else:
            start = ["-m", "glocal"] if code is None else ["-c", code]
            self.process = subprocess.Popen(
                [sys.executable, "-W", "error", *start, *arguments],
                env=env,
                stderr=subprocess.PIPE,
                text=True,
            )
        assert self.process.stderr is not None
        said = ""
        for line in self.process.stderr:
            said += line
            if found := re.search(r"at (http://\S+?)/? ?(?:\(|$)", line):
                self.address = found[1].rstrip("/")
                break
        else:
            raise AssertionError(f"the server did not start: {said}")
        self.port = int(self.address.rsplit(":", 1)[1])

    def client(self, **more: Any) -> Client:
        return Client(self.address, **more)

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> tuple[int, dict[str, str], bytes]:
        """Status, headers in lower case and body of one request, its path sent as it is."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            fields = {name.lower(): value for name, value in answer.getheaders()}
            return answer.status, fields, answer.read()
        finally:
            connection.close()

    def raw(self, data: bytes, *, seconds: float = 20.0) -> bytes:
        """What comes back for bytes, until the server closes or goes quiet."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=seconds) as connection:
            connection.sendall(data)
            return read_all(connection)

    def stop(self, how: int = signal.SIGTERM) -> tuple[int, str]:
        """Exit status and what else was said."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        assert self.process.stderr is not None
        rest = self.process.stderr.read()
        status = self.process.wait(timeout=60)
        self.process.stderr.close()
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status, rest

    def rss(self) -> int:
        """Resident bytes of the server's own process."""
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.findall(r"VmRSS:\s+(\d+)", text)[0]) * 1024


def read_all(connection: socket.socket) -> bytes:
    found = b""
    try:
        while chunk := connection.recv(65_536):
            found += chunk
    except (TimeoutError, ConnectionError):
        pass
    return found


def form(*parts: tuple[str, bytes | str]) -> tuple[bytes, dict[str, str]]:
    """A form's body and headers; bytes are files."""
    mark, body = "MARK", b""
    for name, value in parts:
        extra = '; filename="f.jpg"' if isinstance(value, bytes) else ""
        data = value if isinstance(value, bytes) else value.encode()
        head = f'--{mark}\r\nContent-Disposition: form-data; name="{name}"{extra}\r\n\r\n'
        body += head.encode() + data + b"\r\n"
    body += f"--{mark}--\r\n".encode()
    return body, {"Content-Type": f"multipart/form-data; boundary={mark}"}


def problem(answer: tuple[int, dict[str, str], bytes], status: int) -> dict[str, Any]:
    """The problem details of an answer, which must be well made and tell nothing inside."""
    assert answer[0] == status, answer
    assert answer[1]["content-type"] == "application/problem+json"
    assert b"Traceback" not in answer[2]
    assert b".py" not in answer[2]
    value: dict[str, Any] = json.loads(answer[2])
    assert value["status"] == status
    assert {"type", "title"} <= value.keys()
    return value


def wait_until(true: Any, seconds: float = 20.0) -> None:
    """Wait until a call gives something true."""
    ends = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < ends, "it did not come true"
        time.sleep(0.05)
