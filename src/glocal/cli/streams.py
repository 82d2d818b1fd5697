"""The standard streams as a program finds them: open, closed, or a pipe that nobody reads."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import Any, BinaryIO, TextIO

_NOBODY_READS = {errno.EPIPE, errno.ESHUTDOWN} | ({errno.EINVAL} if os.name == "nt" else set())


class _Pipe(io.FileIO):
    """Standard output that outlives its reader: what nobody reads is thrown away.

    A program that stops at the first unread line (``| head``) would lose the files that it was
    also told to write.
    """

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor, "wb", closefd=False)
        self.broken = False

    def write(self, data: Any) -> int:
        if not self.broken:
            try:
                return super().write(data) or 0
            except OSError as error:
                # What is left is not tried again, nor at the end, when nothing catches the error.
                self.broken = True
                if error.errno not in _NOBODY_READS:
                    error.filename = "standard output" if self.fileno() == 1 else "standard error"
                    raise
        return len(memoryview(data).cast("B"))


def open_closed_streams() -> None:
    """Open the null device for each standard stream that is closed (``>&-``).

    The next file that is opened would otherwise take its number, and what a library says on
    standard error would be written into that file.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free, this one
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


def keep_writing() -> None:
    """Let both output streams outlive their readers, and show any character somehow."""
    for number, name in ((1, "stdout"), (2, "stderr")):
        stream: TextIO = getattr(sys, name)
        if stream.isatty() or not hasattr(stream, "reconfigure"):
            continue
        stream.flush()
        buffered = io.BufferedWriter(_Pipe(number))
        kept = io.TextIOWrapper(
            buffered, stream.encoding, stream.errors, line_buffering=name == "stderr"
        )
        setattr(sys, name, kept)
    for stream in (sys.stdout, sys.stderr):
        # A file name may have characters that a terminal cannot show.
        reconfigure: Any = getattr(stream, "reconfigure", None)
        if reconfigure:
            reconfigure(errors="backslashreplace")


class _Input(io.BytesIO):
    name = "standard input"


def standard_input(most: int) -> BinaryIO:
    """What comes at standard input, one byte more than `most` where there is more."""
    return _Input(sys.stdin.buffer.read(most + 1))


def output_is_read() -> bool:
    """Whether, as far as is known, somebody still reads standard output."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return not (isinstance(raw, _Pipe) and raw.broken)
