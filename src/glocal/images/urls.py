"""Read images from URLs through fsspec: bounded in size and time, and nothing but what was named.

Credentials are those that fsspec and its packages find in the environment and in the files of the
cloud's own tools; glocal neither takes nor keeps any. Redirects of web servers are not followed, so
that a gallery's URLs lead nowhere but where the person who named them looked.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from html.parser import HTMLParser
from importlib.util import find_spec
from typing import Any, Literal
from urllib.parse import urldefrag, urljoin

from glocal.errors import ImageError, ImageMissingError, MissingExtraError, install_command
from glocal.images.formats import has_image_suffix
from glocal.images.limits import Limits
from glocal.images.url_paths import WEB, UrlPath

SECONDS = 60.0
"""How long reading a file, or one page of a listing, may take."""

_PAGE = Limits(max_bytes=16 * 2**20)  # of a web server's list of a folder
_CHUNK = 2**20
_NAMED = {"s3": "s3", "s3a": "s3", "gs": "gcs", "gcs": "gcs"} | dict.fromkeys(
    ("az", "abfs", "abfss"), "abfs"
)
_MODIFIED = ("LastModified", "last_modified", "Last-Modified", "mtime", "updated", "created")
_TAGS = ("ETag", "etag", "md5Hash", "content_md5", "Content-MD5", "Digest")


@dataclass(frozen=True, slots=True)
class Listed:
    """What a server says of a file or folder.

    Attributes:
        name: in its folder.
        folder: whether it is one.
        size: in bytes; -1 if the server does not say.
        modified: a number that changes with the time of its last change; 0 if unknown.
        changed: a number that changes with its content's tag; `modified` where there is none.
    """

    name: str
    folder: bool
    size: int
    modified: int
    changed: int


def read_url(path: UrlPath, limits: Limits) -> bytes:
    """Read what a URL names, at most ``limits.max_bytes``.

    Raises:
        ImageMissingError: There is nothing.
        ImageError: It is empty or too large, or cannot be read in time.
    """
    with _explained():
        data = _read(path, limits.max_bytes + 1)
    limits.check_bytes(len(data))
    return data


def look(path: UrlPath) -> Listed:
    """What the server says of one file or folder now.

    Raises:
        ImageMissingError: There is nothing.
        ImageError: The server cannot be asked.
    """
    with _explained():
        system, target = _opened(path)
        if path.scheme in WEB and not has_image_suffix(path.name):
            _links(path)
            return Listed(path.name, True, -1, 0, 0)
        return _listed(system.info(target, **_limited(system)), path.name)


def kind(path: UrlPath) -> Literal["folder", "file"] | None:
    """What a URL names; `None` if there is nothing.

    Raises:
        ImageError: The server cannot be asked.
    """
    try:
        return "folder" if look(path).folder else "file"
    except ImageMissingError:
        return None


def entries(path: UrlPath) -> Iterator[Listed]:
    """What lies right in a folder, in no order; links to elsewhere are left out.

    Of files in a web server's folder the server is asked one by one, when they are reached.

    Raises:
        ImageMissingError: There is no such folder.
        ImageError: It cannot be listed.
    """
    if path.scheme in WEB:
        with _explained():
            links = _links(path)
        for name, folder in links.items():
            yield Listed(name, folder, -1, 0, 0)
        return
    with _explained():
        system, target = _opened(path)
        found = system.ls(target, detail=True, **_limited(system))
    base = target.strip("/") + "/"
    for entry in found:
        name = str(entry["name"]).strip("/")
        rest = name.removeprefix(base)
        if name.startswith(base) and rest and "/" not in rest:
            yield _listed(entry, rest)


def _opened(path: UrlPath) -> tuple[Any, str]:
    """fsspec's file system for a URL, and what it calls it."""
    if find_spec("fsspec") is None:
        raise MissingExtraError(f"images at URLs need fsspec: {install_command('glocal[urls]')}")
    import fsspec

    options: dict[str, Any] = {"use_listings_cache": False}
    if path.scheme in WEB:
        options |= {"allow_redirects": False, "client_kwargs": {"timeout": _web_timeout()}}
    try:
        # Not by url_to_fs, to which a name with :: is a chain of file systems.
        kind = fsspec.get_filesystem_class(path.scheme)
        system = kind(**{**kind._get_kwargs_from_urls(str(path)), **options})
        target = kind._strip_protocol(str(path))
    except ImportError as error:
        named = _NAMED.get(path.scheme, "http")
        raise MissingExtraError(
            f"images at {path.scheme}:// need a package more: {install_command(f'fsspec[{named}]')}"
        ) from error
    return system, str(target)


def _web_timeout() -> Any:
    import aiohttp

    return aiohttp.ClientTimeout(total=SECONDS)


def _limited(system: Any) -> dict[str, float]:
    """A time limit for a call, of those that can be given one."""
    return {"timeout": SECONDS} if getattr(system, "async_impl", False) else {}


def _read(path: UrlPath, most: int) -> bytes:
    system, target = _opened(path)
    if path.scheme not in WEB:
        # The end is asked for, so that of a larger file no more than that is sent.
        return bytes(system.cat_file(target, start=0, end=most, **_limited(system)))
    ends = time.monotonic() + SECONDS
    # A stream, without asking for the size first, which a server need not tell truly.
    with system.open(target, "rb", block_size=0, size=1) as file:
        status = getattr(getattr(file, "r", None), "status", 200)
        if status != 200:
            raise ImageError(f"not readable: the server answers {status}")
        chunks: list[bytes] = []
        left = most
        while left > 0 and (chunk := file.read(min(left, _CHUNK))):
            chunks.append(chunk)
            left -= len(chunk)
            if time.monotonic() > ends:
                raise TimeoutError
    return b"".join(chunks)


@contextmanager
def _explained() -> Iterator[None]:
    """Errors of fsspec and what it uses, of which each package has its own, as `ImageError`."""
    try:
        yield
    except (ImageError, MissingExtraError):
        raise
    except (FileNotFoundError, NotADirectoryError) as error:
        raise ImageMissingError("no such file") from error
    except TimeoutError as error:
        raise ImageError(f"not readable: the server took longer than {SECONDS:g} s") from error
    except Exception as error:
        status = getattr(error, "status", None)
        if status in (404, 410):
            raise ImageMissingError("no such file") from error
        said = f"the server answers {status}" if status else _said(error)
        raise ImageError(f"not readable: {said}") from error


def _said(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}"[:300] if text else type(error).__name__


class _Links(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def _links(path: UrlPath) -> dict[str, bool]:
    """Names that a web server's page lists right in its folder, and whether each is a folder."""
    base = f"{path}/"
    page = _read(UrlFolder(path), _PAGE.max_bytes + 1)
    if len(page) > _PAGE.max_bytes:
        raise ImageError(f"the list of the folder is larger than {_PAGE.max_bytes // 2**20} MiB")
    links = _Links()
    links.feed(page.decode("utf-8", "replace"))
    names: dict[str, bool] = {}
    for link in links.found:
        whole = urldefrag(urljoin(base, link)).url
        rest = whole.removeprefix(base)
        name = rest.rstrip("/")
        if whole.startswith(base) and name not in ("", ".", "..") and not set("/?") & set(name):
            names[name] = rest.endswith("/")
    return names


class UrlFolder(UrlPath):
    """The URL of a web server's folder, which ends with a slash."""

    __slots__ = ()

    def __str__(self) -> str:
        return f"{super().__str__()}/"


def _listed(entry: dict[str, Any], name: str) -> Listed:
    size = entry.get("size", entry.get("Size"))
    modified = _number(next((entry[key] for key in _MODIFIED if entry.get(key)), None))
    tag = next((str(entry[key]) for key in _TAGS if entry.get(key)), None)
    return Listed(
        name,
        entry.get("type") == "directory",
        -1 if size is None else int(size),
        modified,
        modified if tag is None else _hash(tag),
    )


def _number(moment: object) -> int:
    """A number that is the same for the same moment, with a sign and 64 bits."""
    if moment is None:
        return 0
    if isinstance(moment, datetime):
        return int(moment.timestamp() * 1e6) * 1000
    if isinstance(moment, int | float):
        return int(moment * 1e6) * 1000
    return _hash(str(moment))


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big", signed=True)
