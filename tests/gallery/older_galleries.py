# ruff: noqa: S608 - the names of tables are ours
"""Galleries that earlier versions made, as tests unpack them."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path


def move(gallery: Path, old: Path, new: Path) -> None:
    """Tell a gallery that what lay in one folder lies in another one."""
    with closing(sqlite3.connect(gallery / "catalog.sqlite")) as db, db:
        for table in ("folders", "roots"):
            for (path,) in db.execute(f"SELECT path FROM {table}").fetchall():
                moved = path.replace(os.fsencode(old), os.fsencode(new), 1)
                db.execute(f"UPDATE {table} SET path = ? WHERE path = ?", (moved, path))
