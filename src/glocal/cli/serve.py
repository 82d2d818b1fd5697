"""`glocal serve`."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path
from urllib.parse import urlsplit

import click

from glocal.cli.options import FilePath, budget_option, gallery_option, model_options, wait_option
from glocal.cli.output import say
from glocal.errors import GlocalError, MissingExtraError, install_command

_LEAST_TOKEN = 16
_MOST_PROCESSES = 8
_FOLDER = FilePath(file_okay=False, exists=True, resolve_path=True)


@click.command()
@gallery_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65_535),
    default=8470,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option(
    "--token-file",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="File with the token that clients have to send. [default: the token in GLOCAL_TOKEN]",
)
@click.option(
    "--read-token-file",
    type=FilePath(dir_okay=False),
    metavar="FILE",
    help="File with another token, with which clients can change nothing. [default: the token in "
    "GLOCAL_READ_TOKEN]",
)
@click.option(
    "--allow-folder",
    "folders",
    type=_FOLDER,
    multiple=True,
    metavar="DIR",
    help="Let clients index this folder and the folders in it; may be given more than once.",
)
@click.option(
    "--upload-folder",
    type=_FOLDER,
    metavar="DIR",
    help="Let clients add photos, which are stored in this folder.",
)
@click.option("--read-only", is_flag=True, help="Refuse all changes by clients.")
@click.option(
    "--allow-urls", is_flag=True, help="Let clients search with an image at a public URL."
)
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Also accept requests for this host name, such as that of a reverse proxy; may be given "
    "more than once.",
)
@click.option(
    "--cors-origin",
    "cors_origins",
    multiple=True,
    metavar="ORIGIN",
    help="Let pages of this origin, such as https://shop.example, use the API; '*' lets all read. "
    "May be given more than once.",
)
@click.option(
    "--show-positions",
    is_flag=True,
    help="Show where photos were taken, and keep the positions in files that are sent.",
)
@click.option(
    "--world",
    type=FilePath(dir_okay=False),
    metavar="FILE.npz",
    help="Ask this trained world model too where a photo was taken; needs --show-positions. See "
    "glocal world --help.",
)
@click.option(
    "--processes",
    type=click.IntRange(0, 64),
    metavar="N",
    help="How many processes answer searches, each of which takes some 200 MB; 0: the server "
    "does. [default: one for each core, at most 8; 0 where there is one core]",
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@model_options
@budget_option
@wait_option
def serve(
    gallery: Path | None,
    host: str,
    port: int,
    token_file: Path | None,
    read_token_file: Path | None,
    folders: tuple[Path, ...],
    upload_folder: Path | None,
    read_only: bool,
    allow_urls: bool,
    hosts: tuple[str, ...],
    cors_origins: tuple[str, ...],
    show_positions: bool,
    world: Path | None,
    processes: int | None,
    open_page: bool,
    model: str | None,
    model_sha256: str | None,
    budget_ms: float | None,
    wait: float,
) -> None:
    """Serve a gallery to browsers and programs: a web page and an HTTP API.

    Only this machine can connect, unless --host names another address, which requires a token.
    Ctrl-C or SIGTERM stops the server after the requests in progress.
    """
    try:
        from glocal.web.server import bind
        from glocal.web.server import serve as run
        from glocal.web.settings import LOOPBACK, Settings
    except ImportError as error:
        raise MissingExtraError(
            f"glocal serve needs the package {error.name}, which is not installed; "
            f"run: {install_command('glocal[serve]')}"
        ) from error
    from glocal.gallery import Gallery
    from glocal.gallery.ahead import worker_count
    from glocal.gallery.locating import require_world_of
    from glocal.geography.world_model import WorldModel

    token = _token(token_file, "GLOCAL_TOKEN")
    read_token = _token(read_token_file, "GLOCAL_READ_TOKEN")
    if read_token is not None and (token is None or token == read_token):
        raise click.UsageError(
            "the token for reading goes with another one that allows everything; set that with "
            "--token-file FILE, or use --read-only"
        )
    if token is None and (host not in LOOPBACK or hosts):
        raise click.UsageError(
            f"anyone who can connect to {hosts[0] if hosts else host} could use the gallery; set a "
            "token with --token-file FILE, and make one with: "
            'python3 -c "import secrets; print(secrets.token_urlsafe(32))" > FILE'
        )
    if token is None and "*" in cors_origins:
        raise click.UsageError(
            "--cors-origin '*' would let every site's pages read the gallery: set a token, or name "
            "the origin"
        )
    if world is not None and not show_positions:
        raise click.UsageError("--world names places; allow that with --show-positions")
    if processes is None:
        processes = min(worker_count(), _MOST_PROCESSES) if worker_count() > 1 else 0
    settings = Settings(
        token=token,
        read_token=read_token,
        loopback=host in LOOPBACK,
        hosts=frozenset(name.lower().rstrip(".") for name in hosts),
        cors_origins=frozenset(map(_origin, cors_origins)),
        read_only=read_only,
        folders=folders,
        upload_folder=upload_folder,
        urls=allow_urls,
        positions=show_positions,
        world=None if world is None else world.resolve(),
        search_processes=processes,
        searches=max(4, 2 * processes),  # some are decoded while others are searched for
    )
    bound = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{bound.getsockname()[1]}/"

    def ready() -> None:
        say(f"serving {opened.folder} at {address} (press Ctrl-C to stop)", err=True)
        if open_page:
            webbrowser.open(address)

    with (
        bound,
        Gallery(
            gallery,
            model=model,
            sha256=model_sha256,
            timeout=wait,
            side_by_side=True,
            budget_ms=budget_ms,
        ) as opened,
    ):
        if world is not None:
            require_world_of(WorldModel.load(world), opened.space)
        run(opened, settings, bound, ready)


def _origin(text: str) -> str:
    """An origin as browsers write it, or ``*``."""
    parts = urlsplit(text.rstrip("/"))
    origin = f"{parts.scheme}://{parts.netloc}".lower()
    named = parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc
    if text != "*" and not (named and origin == text.rstrip("/").lower()):
        raise click.UsageError(
            f"{text!r} is not an origin; give a scheme and a host, such as https://shop.example"
        )
    return text if text == "*" else origin


def _token(file: Path | None, variable: str) -> str | None:
    """The token in the file or else in a variable of the environment, or `None`."""
    if file is None:
        token = os.environ.pop(variable, "").strip()
        origin = variable
        if not token:
            return None
    else:
        origin = str(file)
        try:
            token = file.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise GlocalError(f"the token file {file} cannot be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise GlocalError(f"the token file {file} is not text; write a token to it") from error
    if len(token) < _LEAST_TOKEN or not token.isascii() or any(c.isspace() for c in token):
        raise GlocalError(
            f"the token in {origin} is too short or has characters that HTTP cannot carry; use "
            f"{_LEAST_TOKEN} or more ASCII letters, digits and punctuation marks, without spaces"
        )
    return token
