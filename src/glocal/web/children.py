"""Long-running processes that the server starts: Python modules that report line by line."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from typing import Any


async def spawn(
    module: str, *arguments: str, longest: int, leashed: bool = False
) -> asyncio.subprocess.Process:
    """Start a module as a process, out of reach of the terminal's Ctrl-C.

    Args:
        module: its name.
        arguments: of its command line.
        longest: bytes that a line may have.
        leashed: give it a standard input that ends when the server ends, for whatever reason.
    """
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        module,
        *arguments,
        stdin=subprocess.PIPE if leashed else subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        limit=longest,
        **own_group(),
    )


def own_group() -> dict[str, Any]:
    """What keeps Ctrl-C from a process, and lets `interrupt` reach it alone."""
    if sys.platform == "win32":
        return {"creationflags": getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0)}
    # Not a session of its own: to those Linux gives equal shares, whatever their niceness.
    return {"process_group": 0}


def interrupt(process: asyncio.subprocess.Process) -> None:
    """Ask a process to end as Ctrl-C would, so that it keeps what it has done.

    Windows sends SIGINT to nobody, but Ctrl-Break to a group of processes.
    """
    how = getattr(signal, "CTRL_BREAK_EVENT", signal.SIGINT)
    with contextlib.suppress(ProcessLookupError):
        process.send_signal(how)


def end_when_interrupted() -> None:
    """Let `interrupt` raise KeyboardInterrupt in this process."""
    if hasattr(signal, "SIGBREAK"):
        signal.signal(signal.SIGBREAK, signal.default_int_handler)


async def lines(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """The lines of a process, until it ends."""
    if process.stdout is not None:
        async for line in process.stdout:
            yield line
