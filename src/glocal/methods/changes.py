"""Which trials the changes in a checkout concern."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable
from pathlib import Path

from glocal.errors import MethodError
from glocal.methods.catalogue import Method
from glocal.methods.states import files_of

_SOURCE = Path(__file__).parents[2]


def changed(methods: Iterable[Method], *, since: str = "main") -> list[Method]:
    """The methods with a trial whose sources differ from another commit, committed or not.

    Args:
        methods: Rows of the catalogue.
        since: The commit or branch; the changes since the last common commit count.

    Raises:
        MethodError: This is no checkout, or it has no such commit.
    """
    base = _git("merge-base", since, "HEAD").strip()
    root = Path(_git("rev-parse", "--show-toplevel").strip())
    names = [
        *_git("diff", "--name-only", "-z", base, "--").split("\0"),
        *_git("ls-files", "--others", "--exclude-standard", "-z", "--full-name").split("\0"),
    ]
    files = {str((root / name).resolve()) for name in names if name}
    return [
        method
        for method in methods
        if method.trial and files.intersection(str(Path(f).resolve()) for f in files_of(method))
    ]


def _git(*arguments: str) -> str:
    try:
        done = subprocess.run(
            ["git", "-C", str(_SOURCE), *arguments], capture_output=True, text=True, check=True
        )
    except (OSError, subprocess.CalledProcessError) as error:
        why = getattr(error, "stderr", "") or error
        raise MethodError(
            f"what has changed cannot be told: {str(why).strip()}; use --changed in a git checkout"
        ) from error
    return done.stdout
