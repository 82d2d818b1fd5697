"""List the images below a folder of a data set, and read its tables."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NoReturn

from glocal.errors import EvaluationError
from glocal.evaluate.datasets.evaluation import Sample

ImageTest = Callable[[str], bool]
"""Tells from a file name whether the file is an image; the readers open no images."""


def require_folder(folder: Path, holds: str) -> Path:
    """Check that a folder exists, and return it.

    Raises:
        EvaluationError: there is no such folder; the text says what it should hold.
    """
    if not folder.is_dir():
        raise EvaluationError(f"there is no folder {folder}; it should hold {holds}")
    return folder


def images_below(folder: Path, is_image: ImageTest) -> list[Path]:
    """List every image file below a folder, sorted by path; hidden ones are skipped.

    Links to folders are followed, because data sets often consist of them; each folder is listed
    once.

    Raises:
        EvaluationError: a folder cannot be read.
    """
    found = []
    entered: set[tuple[int, int]] = set()
    for top, folders, files in os.walk(folder, onerror=_refuse, followlinks=True):
        state = os.stat(top)
        if (state.st_dev, state.st_ino) in entered:
            folders.clear()
            continue
        entered.add((state.st_dev, state.st_ino))
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(top, name) for name in files if not name.startswith(".") and is_image(name)]
    return sorted(found)


def images_by_name(folder: Path, holds: str, is_image: ImageTest) -> dict[str, Path]:
    """List the images below a folder by their names without suffix, which tables use as ids.

    Raises:
        EvaluationError: there is no folder, no image, or two images have one name.
    """
    named: dict[str, Path] = {}
    for path in images_below(require_folder(folder, holds), is_image):
        if path.stem in named:
            raise EvaluationError(
                f"{named[path.stem]} and {path} have one identifier, {path.stem!r}; keep one"
            )
        named[path.stem] = path
    if not named:
        raise EvaluationError(f"there is no image below {folder}; it should hold {holds}")
    return named


def distractor_samples(
    folders: Iterable[Path], taken: Sequence[Sample], is_image: ImageTest
) -> list[Sample]:
    """List distractors, which are right answers to no query, from folders beside the data set.

    Args:
        folders: folders to list recursively; an image in two of them counts once.
        taken: images of the data set itself.
        is_image: see `ImageTest`.

    Raises:
        EvaluationError: a folder is missing or has no image, or one of its images belongs to the
            data set.
    """
    theirs = {os.path.abspath(sample.path) for sample in taken}
    found: dict[str, Sample] = {}
    for folder in folders:
        paths = images_below(require_folder(folder, "distractors"), is_image)
        if not paths:
            raise EvaluationError(
                f"there is no image below {folder}; add distractors or leave it out"
            )
        for path in paths:
            place = os.path.abspath(path)
            if place in theirs:
                raise EvaluationError(
                    f"{path} cannot be a distractor, because it belongs to the data set; move it"
                )
            found.setdefault(place, Sample(path))
    return list(found.values())


def read_table(
    path: Path, columns: Sequence[tuple[str, ...]]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Read some columns of a CSV table with a header.

    Args:
        path: table file, in UTF-8.
        columns: for each wanted column, the names that it may have.

    Yields:
        The number of the line on which a row ends, and its fields.

    Raises:
        EvaluationError: the file is not such a table, lacks a column, or a row is too short.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.reader(file, strict=True)
            header = [name.strip() for name in next(reader, [])]
            places = [_place(path, header, names) for names in columns]
            for row in reader:
                if not row:
                    continue
                if len(row) <= max(places):
                    raise EvaluationError(
                        f"{path}, line {reader.line_num}: {len(row)} fields where the header has "
                        f"{len(header)}"
                    )
                yield reader.line_num, tuple(row[place].strip() for place in places)
    except OSError as error:
        raise EvaluationError(f"the table {path} cannot be read: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise EvaluationError(f"{path} is not a comma-separated UTF-8 table: {error}") from error


def _place(path: Path, header: list[str], names: tuple[str, ...]) -> int:
    for name in names:
        if name in header:
            return header.index(name)
    raise EvaluationError(
        f"{path} has no column {' or '.join(names)}; its first line names {', '.join(header)!r}"
    )


def _refuse(error: OSError) -> NoReturn:
    raise EvaluationError(
        f"the folder {error.filename} cannot be read: {error.strerror}"
    ) from error
