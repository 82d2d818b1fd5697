"""URLs of images and of folders of images, as paths: so they have names, parents and parts.

Only a `UrlPath` is ever fetched. A text that looks like a URL is no more than the name of a file,
wherever it comes from: it becomes a `UrlPath` where a person names it, at the command line or as an
argument of `Gallery.add`, and in a gallery's catalogue, which has what lies below those.
"""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Self
from urllib.parse import unquote

from glocal.errors import QueryError

SCHEMES = ("s3", "s3a", "gs", "gcs", "az", "abfs", "abfss", "http", "https", "memory")
"""What URLs may begin with: what fsspec reads with a package of its own."""

WEB = ("http", "https")

EMPTY = "an empty path names nothing; give a file or folder, or . for the folder you are in"

# A path has lost one of the slashes; what else begins like this, such as C:/, is none.
_URL = re.compile(rf"({'|'.join(SCHEMES)}):/+(?=[^/])")
_FILE = re.compile(r"file:(//(localhost)?)?(?=/)")
_Native = type(Path())


class UrlPath(_Native):  # type: ignore[misc, valid-type]
    """A URL that is used as a path; `str` gives it as it was.

    >>> from glocal.images.url_paths import as_path
    >>> photo = as_path("s3://bucket/2024/a.jpg")
    >>> photo.name, str(photo.parent), [str(above) for above in photo.parents]
    ('a.jpg', 's3://bucket/2024', ['s3://bucket/2024', 's3://bucket'])
    """

    __slots__ = ()

    def __str__(self) -> str:
        return _URL.sub(lambda found: f"{found[1]}://", super().__str__(), count=1)

    def __fspath__(self) -> str:
        return str(self)

    def __repr__(self) -> str:
        return f"UrlPath({str(self)!r})"

    @property
    def scheme(self) -> str:
        """What stands before the colon."""
        return str(self.parts[0]).rstrip(":")

    @property
    def parent(self) -> Self:
        """The folder above; a bucket or host is its own, as the root of a disk is."""
        above: Self = super().parent
        return above if len(self.parts) > 2 else self

    @property
    def parents(self) -> Sequence[Self]:
        """The folders above, up to the bucket or host."""
        found, path = [], self
        while path.parent != path:
            path = path.parent
            found.append(path)
        return tuple(found)

    def require_open(self) -> None:
        """Make sure that nothing secret is in it, since galleries keep it.

        Raises:
            QueryError: it has a password or a signature.
        """
        place = self.parts[1] if len(self.parts) > 1 else ""
        if ":" in place.rpartition("@")[0]:
            raise QueryError(
                f"a URL with a password would be kept in the gallery: {self.scheme}://...@"
                f"{place.rpartition('@')[2]}; leave it out, and give it to fsspec in the "
                "environment (docs/cluster.md)"
            )
        if "?" in str(self) or "#" in str(self):
            name = str(self).partition("?")[0].partition("#")[0]
            raise QueryError(
                f"a URL with ? or # may be signed, and would be kept in the gallery: {name}?...; "
                "name the folder without it"
            )


def is_url(text: str) -> bool:
    """Whether a text, or a path that was made of it, is a URL that can be read."""
    return _URL.match(text) is not None


def looks_like_url(text: str) -> str | None:
    """What stands before ``://``, where it begins with letters as a URL's scheme does."""
    found = re.match(r"([A-Za-z][A-Za-z0-9+.-]+)://", text)
    return found[1] if found else None


def given_path(text: str | os.PathLike[str]) -> Path:
    """As `as_path`, of what somebody gave as a path.

    Raises:
        QueryError: It is no text, empty, or one that no file can have; or a URL on Windows.
    """
    if not isinstance(text, str | os.PathLike):
        raise QueryError(f"{text!r:.60} is no path; give a str or a pathlib.Path")
    said = os.fspath(text)
    if not said:
        raise QueryError(EMPTY)
    if "\0" in said:
        raise QueryError(f"no file has a NUL character in its name, as {said!r} has")
    return as_path(text)


def as_path(text: str | os.PathLike[str]) -> Path:
    """The path that a text names: of a file or folder here, or a `UrlPath`.

    Raises:
        QueryError: It is a URL, on Windows, whose paths have backslashes.
    """
    if isinstance(text, UrlPath):
        return text
    said = os.fspath(text)
    if said.startswith("/"):  # as all those of this machine in a gallery
        return Path(said)
    if is_url(said):
        if os.name == "nt":
            raise QueryError(
                f"{said.partition(':')[0]}:// is not read on Windows; use Linux, WSL or macOS, or "
                "copy the photos to a folder first"
            )
        return UrlPath(said)
    here = _FILE.match(said)
    return Path(unquote(said[here.end() :])) if here else Path(said)
