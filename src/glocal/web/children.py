"""Long-running processes that the server starts: Python modules that report line by line."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator


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
        # Not a session of its own: to those Linux gives equal shares, whatever their niceness.
        process_group=0,
    )


async def lines(process: asyncio.subprocess.Process) -> AsyncIterator[bytes]:
    """The lines of a process, until it ends."""
    if process.stdout is not None:
        async for line in process.stdout:
            yield line
