"""Processes that a server starts, as Windows has them: simulated."""

from __future__ import annotations

import signal
import subprocess
import sys
from typing import Any

import pytest

from glocal.web.children import end_when_interrupted, interrupt, own_group


class Process:
    """Notes the signals that are sent to it."""

    def __init__(self) -> None:
        self.signals: list[int] = []

    def send_signal(self, how: int) -> None:
        if sys.platform == "win32" and how == signal.SIGINT:
            raise ValueError("Unsupported signal: 2")
        self.signals.append(how)


def test_a_run_can_be_interrupted_on_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    handled: dict[int, Any] = {}
    monkeypatch.setattr(sys, "platform", "win32")
    monkeypatch.setattr(signal, "CTRL_BREAK_EVENT", 1, raising=False)
    monkeypatch.setattr(signal, "SIGBREAK", 21, raising=False)
    monkeypatch.setattr(signal, "signal", lambda number, how: handled.update({number: how}))
    monkeypatch.setattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0x200, raising=False)
    process: Any = Process()
    interrupt(process)
    assert process.signals == [1]
    assert own_group() == {"creationflags": 0x200}
    end_when_interrupted()
    assert handled == {21: signal.default_int_handler}


def test_elsewhere_it_is_ctrl_c() -> None:
    process: Any = Process()
    interrupt(process)
    assert process.signals == [signal.SIGINT]
    assert own_group() == {"process_group": 0}
