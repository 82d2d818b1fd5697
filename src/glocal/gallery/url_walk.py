"""Find images below a URL: what `glocal.gallery.walk` does for folders of this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

from glocal.errors import ImageError, ImageMissingError
from glocal.gallery.leaving_out import NO_MEDIA, LeftOut
from glocal.gallery.walk import FoundFile, FoundFolder
from glocal.images import has_image_suffix, urls
from glocal.images.formats import kind_not_read
from glocal.images.url_paths import UrlPath

_ASKED = 8  # files of a web server that are asked for at a time
_DEEPEST = 64  # folders below a root: a server may make up more and more


def walk_url(root: UrlPath, left_out: LeftOut) -> Iterator[FoundFolder]:
    """Yield a folder and every folder below it, parents first.

    Memory grows with the largest folder. What a server says of a file stands for its times:
    `FoundFile.modified` is when it was written, and `FoundFile.changed` its content's tag.
    """
    waiting = [root]
    while waiting:
        path = waiting.pop()
        folder = FoundFolder(path)
        below: list[UrlPath] = []
        try:
            found = [
                each for each in urls.entries(path) if not left_out.skips(root, path, each.name)
            ]
        except ImageError as error:
            folder.unreadable = f"the folder cannot be listed: {error}"
            yield folder
            continue
        if path != root and any(each.name == NO_MEDIA for each in found):
            continue
        files = []
        for each in found:
            if each.name in (".", "..") or "\0" in each.name:
                folder.refused.append((os.fsencode(each.name), "a name that no file can have"))
            elif each.folder:
                below.append(path / each.name)
            elif has_image_suffix(each.name):
                files.append(each)
            elif kind := kind_not_read(each.name):
                folder.not_read[kind] += 1
        _take(folder, path, files)
        if len(path.parts) - len(root.parts) >= _DEEPEST and below:
            folder.refused.append(
                (os.fsencode(below[0].name), f"more than {_DEEPEST} folders below {root}")
            )
            below = []
        yield folder
        waiting += below


def url_file(path: UrlPath) -> FoundFolder:
    """The folder of one file, as `walk_url` would give it if it held nothing else."""
    folder = FoundFolder(path.parent)
    _take(folder, path.parent, [urls.Listed(path.name, False, -1, 0, 0)])
    return folder


def _take(folder: FoundFolder, path: UrlPath, files: list[urls.Listed]) -> None:
    """Take files, asking the server for what its list has not said of them."""

    def asked(listed: urls.Listed) -> urls.Listed | str:
        if listed.size >= 0:
            return listed
        try:
            return urls.look(path / listed.name)
        except ImageMissingError:
            return "a link to a file that is not there"
        except ImageError as error:
            return str(error)

    with ThreadPoolExecutor(_ASKED) as threads:
        for listed, now in zip(files, threads.map(asked, files), strict=True):
            name = os.fsencode(listed.name)
            if isinstance(now, str):
                folder.refused.append((name, now))
            else:
                # A server that does not say how long a file is sends at most what may be read.
                folder.files.append(FoundFile(name, max(now.size, -1), now.modified, now.changed))
