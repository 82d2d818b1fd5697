"""An interrupted command says so, whatever the interruption turned into on its way."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from glocal.cli import app
from glocal.errors import GalleryError


def interrupt(how: signal.Signals) -> None:
    os.kill(os.getpid(), how)
    threading.Event().wait(10)  # the handler runs here


def lose_a_lock(how: signal.Signals) -> None:
    """What `Condition.wait` does when the signal comes between its two locks."""
    try:
        interrupt(how)
    finally:
        threading.Lock().release()


def report_another_error(how: signal.Signals) -> None:
    try:
        interrupt(how)
    except KeyboardInterrupt:
        raise GalleryError("half a batch") from None


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("work", [interrupt, lose_a_lock, report_another_error])
def test_every_error_after_a_signal_is_an_interruption(work, how, monkeypatch, capfd) -> None:
    before = signal.getsignal(how)
    monkeypatch.setattr(app.glocal, "main", lambda **_: work(how))
    with pytest.raises(SystemExit) as ended:
        app.main()
    assert ended.value.code == 1
    assert "stopped; what is finished is kept" in capfd.readouterr().err
    assert signal.getsignal(how) == before


def test_an_error_without_a_signal_stays_what_it_is(monkeypatch) -> None:
    def fail(**_: object) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(app.glocal, "main", fail)
    with pytest.raises(RuntimeError, match="a fault of ours"):
        app.main()


@pytest.mark.skipif(os.name != "posix", reason="sends signals")
def test_a_signal_that_is_ignored_stays_ignored(monkeypatch) -> None:
    monkeypatch.setattr(app.glocal, "main", lambda **_: os.kill(os.getpid(), signal.SIGINT))
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with pytest.raises(SystemExit) as ended:
            app.main()
    finally:
        signal.signal(signal.SIGINT, before)
    assert ended.value.code == 0
