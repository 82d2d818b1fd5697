"""Run glocal in real processes without paying each time for what it imports.

Most of the processor time of a short command, and of starting a server, goes into importing. Here
one process imports everything once, and each program is forked from it: with arguments,
environment, folder and streams of its own, and an exit status. Where a system cannot fork, programs
start cold. Whether a cold start works is for other tests to see: those of the README and of the
page start `python -m glocal` themselves.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext  # not there on Windows

IMPORTED = [
    "forked",
    "glocal.cli.duplicates",
    "glocal.cli.explain",
    "glocal.cli.index",
    "glocal.cli.info",
    "glocal.cli.search",
    "glocal.cli.serve",
    "glocal.explain.figure_png",
    "glocal.web.server",
    "onnxruntime",
    "qdrant_edge",
    "simplejpeg",
    "PIL.JpegImagePlugin",
    "PIL.PngImagePlugin",
]


def _context() -> ForkServerContext | None:
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(IMPORTED)
    return context


def _child(
    arguments: Sequence[str],
    code: str | None,
    env: Mapping[str, str],
    folder: str,
    streams: Sequence[Connection],
    strict: bool,
) -> None:
    """Become the program: `glocal` with arguments, or Python code with arguments."""
    for number, stream in enumerate(streams):
        os.dup2(stream.fileno(), number)
        stream.close()
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - until the process ends
    sys.stdout = open(1, "w", encoding="utf-8", closefd=False)  # noqa: SIM115
    sys.stderr = open(  # noqa: SIM115
        2, "w", encoding="utf-8", errors="backslashreplace", buffering=1, closefd=False
    )
    os.environ.clear()
    os.environ.update(env)
    os.chdir(folder)
    if strict:
        warnings.simplefilter("error")
    sys.argv = ["glocal" if code is None else "-c", *arguments]
    if code is not None:
        exec(code, {"__name__": "__main__"})  # noqa: S102 - the tests' own
        return
    from glocal.cli import main

    main()


def can_fork() -> bool:
    """Whether programs can be forked on this system."""
    return _context() is not None


class Program:
    """A program that runs, used as `subprocess.Popen` is.

    Args:
        arguments: Of `glocal`, or of the code.
        code: Python code to run in place of `glocal`.
        env: The whole environment.
        cwd: The folder it runs in.
        input: What it can read, less than a pipe holds.
        text: Whether `stdout` and `stderr` are streams of text.
        strict: Whether warnings are errors.
    """

    def __init__(
        self,
        arguments: Sequence[str | os.PathLike[str]],
        *,
        code: str | None = None,
        env: Mapping[str, str] | None = None,
        cwd: str | os.PathLike[str] | None = None,
        input: bytes = b"",  # noqa: A002 - as subprocess calls it
        text: bool = False,
        strict: bool = False,
    ) -> None:
        context = _context()
        assert context is not None
        texts = [os.fspath(argument) for argument in arguments]
        pipes = [os.pipe() for _ in range(3)]
        theirs = [pipes[0][0], pipes[1][1], pipes[2][1]]
        os.write(pipes[0][1], input)  # a pipe holds some 64 KB
        os.close(pipes[0][1])
        streams = [Connection(fd, readable=n == 0, writable=n > 0) for n, fd in enumerate(theirs)]
        self._process = context.Process(
            target=_child,
            args=(texts, code, dict(env or os.environ), str(cwd or Path.cwd()), streams, strict),
        )
        self._process.start()
        for stream in streams:
            stream.close()
        mode = {"encoding": "utf-8"} if text else {"mode": "rb"}
        self.stdout: IO[Any] = open(pipes[1][0], **mode)  # noqa: SIM115 - see `close`
        self.stderr: IO[Any] = open(pipes[2][0], **mode)  # noqa: SIM115

    @property
    def pid(self) -> int:
        assert self._process.pid is not None
        return self._process.pid

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        self._process.join(timeout)
        if self._process.exitcode is None:
            raise subprocess.TimeoutExpired("glocal", timeout or 0)
        return self._process.exitcode

    def send_signal(self, how: int) -> None:
        """Send a signal, unless the program has ended: it may do so at any moment."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, how)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def close(self) -> None:
        """Close the streams."""
        self.stdout.close()
        self.stderr.close()

    def __enter__(self) -> Program:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self.wait()
        self.close()


def run(
    arguments: Sequence[str | os.PathLike[str]],
    *,
    code: str | None = None,
    env: Mapping[str, str] | None = None,
    cwd: str | os.PathLike[str] | None = None,
    input: bytes = b"",  # noqa: A002 - as subprocess calls it
    text: bool = True,
    timeout: float = 120.0,
) -> subprocess.CompletedProcess[Any]:
    """Run `glocal`, or Python code, with arguments to its end; what it printed is text or bytes.

    Several threads may run programs at the same time.

    Raises:
        subprocess.TimeoutExpired: it did not end in so many seconds, and was killed.
    """
    if not can_fork():
        start = ["-m", "glocal"] if code is None else ["-c", code]
        command = [sys.executable, *start, *arguments]
        return subprocess.run(
            command, env=env, cwd=cwd, input=input.decode() if text else input,
            capture_output=True, text=text, timeout=timeout, check=False,
        )  # fmt: skip
    assert len(input) < 60_000, "more than a pipe holds"
    with (
        Program(arguments, code=code, env=env, cwd=cwd, input=input, text=text) as program,
        ThreadPoolExecutor() as pool,
    ):
        said = [pool.submit(stream.read) for stream in (program.stdout, program.stderr)]
        try:
            status = program.wait(timeout)
        finally:
            program.kill()
        out, error = (future.result() for future in said)
    return subprocess.CompletedProcess([], status, out, error)
