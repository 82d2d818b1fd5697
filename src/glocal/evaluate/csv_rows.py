"""Reading the plain comma-separated tables that benchmarks publish."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from glocal.errors import EvaluationError


def read_rows(path: str | Path, header: tuple[str, ...]) -> Iterator[tuple[int, list[str]]]:
    """Yield the rows of a table with a known header and their line numbers; skip empty lines.

    Fields are split at commas: the published tables quote nothing, and one of their fields lists
    more identifiers than the standard library's reader accepts in a field.

    Raises:
        EvaluationError: the file cannot be read as UTF-8 text, its first line is not the header,
            or a row has another number of fields.
    """
    try:
        with Path(path).open(encoding="utf-8-sig") as file:
            first = file.readline().strip()
            if tuple(first.split(",")) != header:
                raise EvaluationError(
                    f"{path} begins with {first[:80]!r}; its first line should be "
                    f"{','.join(header)!r}"
                )
            for number, line in enumerate(file, start=2):
                text = line.rstrip("\r\n")
                if not text.strip():
                    continue
                fields = text.split(",")
                if len(fields) != len(header):
                    raise EvaluationError(
                        f"{path}, line {number}: {len(fields)} fields where the header has "
                        f"{len(header)}"
                    )
                yield number, fields
    except OSError as error:
        raise EvaluationError(f"the table cannot be read: {error}") from error
    except UnicodeDecodeError as error:
        raise EvaluationError(f"{path} is not UTF-8 text: {error}") from error
