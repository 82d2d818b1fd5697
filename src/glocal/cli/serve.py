"""`glocal serve`."""

from __future__ import annotations

import os
import webbrowser
from pathlib import Path

import click

from glocal.cli.options import gallery_option, model_options, wait_option
from glocal.errors import GlocalError, MissingExtraError

_LEAST_TOKEN = 16
_FOLDER = click.Path(path_type=Path, file_okay=False, exists=True, resolve_path=True)


@click.command()
@gallery_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65_535), default=8470, show_default=True, help="0: any."
)
@click.option(
    "--token-file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="The token that clients have to show. [default: GLOCAL_TOKEN]",
)
@click.option(
    "--allow-folder",
    "folders",
    type=_FOLDER,
    multiple=True,
    metavar="DIR",
    help="Let clients start index runs over this folder and those below.",
)
@click.option(
    "--upload-folder",
    type=_FOLDER,
    metavar="DIR",
    help="Let clients add images, which are kept here.",
)
@click.option("--read-only", is_flag=True, help="Let clients change nothing.")
@click.option("--allow-urls", is_flag=True, help="Let clients name a public address as the query.")
@click.option(
    "--allow-host",
    "hosts",
    multiple=True,
    metavar="NAME",
    help="Answer to this name, too; behind a proxy, the name that people use.",
)
@click.option(
    "--show-positions", is_flag=True, help="Say where images were taken, also in their files."
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@model_options
@wait_option
def serve(
    gallery: Path | None,
    host: str,
    port: int,
    token_file: Path | None,
    folders: tuple[Path, ...],
    upload_folder: Path | None,
    read_only: bool,
    allow_urls: bool,
    hosts: tuple[str, ...],
    show_positions: bool,
    open_page: bool,
    model: str | None,
    model_sha256: str | None,
    wait: float,
) -> None:
    """Serve a gallery to browsers and programs: a page, and the API under it.

    Only this machine reaches it unless --host names another address, which needs a token. Ctrl-C or
    SIGTERM ends it when what is under way is done.
    """
    try:
        from glocal.web.server import bind
        from glocal.web.server import serve as run
        from glocal.web.settings import LOOPBACK, Settings
    except ImportError as error:
        raise MissingExtraError(
            f"glocal serve needs packages that are not installed ({error.name}): "
            "pip install 'glocal[serve]'"
        ) from error
    from glocal.gallery import Gallery

    token = _token(token_file)
    if token is None and (host not in LOOPBACK or hosts):
        raise click.UsageError(
            f"whoever reaches {hosts[0] if hosts else host} would reach the gallery: set a token, "
            "e.g. --token-file FILE after: "
            'python3 -c "import secrets; print(secrets.token_urlsafe(32))" > FILE'
        )
    settings = Settings(
        token=token,
        loopback=host in LOOPBACK,
        hosts=frozenset(name.lower().rstrip(".") for name in hosts),
        read_only=read_only,
        folders=folders,
        upload_folder=upload_folder,
        urls=allow_urls,
        positions=show_positions,
    )
    bound = bind(host, port)
    shown = f"[{host}]" if ":" in host else host
    address = f"http://{shown}:{bound.getsockname()[1]}/"

    def ready() -> None:
        click.echo(f"serving {opened.folder} at {address} (Ctrl-C ends it)", err=True)
        if open_page:
            webbrowser.open(address)

    with (
        bound,
        Gallery(gallery, model=model, sha256=model_sha256, timeout=wait) as opened,
    ):
        run(opened, settings, bound, ready)


def _token(file: Path | None) -> str | None:
    """The token of a file or of the environment, or `None`."""
    if file is None:
        token = os.environ.pop("GLOCAL_TOKEN", "").strip()
        origin = "GLOCAL_TOKEN"
        if not token:
            return None
    else:
        origin = str(file)
        try:
            token = file.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            raise GlocalError(f"the token file {file} cannot be read: {error}") from error
    if len(token) < _LEAST_TOKEN or not token.isascii() or any(c.isspace() for c in token):
        raise GlocalError(
            f"the token of {origin} can be guessed or sent badly: it needs {_LEAST_TOKEN} or more "
            "letters, digits and signs of ASCII, without blanks"
        )
    return token
