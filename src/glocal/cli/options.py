"""Options that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from glocal.errors import PartError
from glocal.images import Limits
from glocal.images.url_paths import EMPTY, SCHEMES, as_path, is_url, looks_like_url
from glocal.registry import Kind, names, part

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class FilePath(click.Path):
    """The path of a file or folder; an empty one is refused.

    It would be the folder one is in, of which ``glocal remove "$unset"`` must not remove all.
    """

    def __init__(self, **more: Any) -> None:
        super().__init__(path_type=Path, **more)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """A `Path`."""
        if not os.fspath(value):
            self.fail(EMPTY, param, ctx)
        found: Any = super().convert(value, param, ctx)
        return Path(found)


gallery_option = click.option(
    "-g",
    "--gallery",
    type=FilePath(),
    metavar="DIR",
    help="Folder of the gallery. [default: GLOCAL_GALLERY, or one per user]",
)
json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
wait_option = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=30,
    show_default=True,
    metavar="SECONDS",
    help="How long to wait for other processes that use the gallery.",
)


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that name a model."""
    named = click.option(
        "--model",
        metavar="NAME",
        help="Model to use: a name, a file, or OWNER/NAME[:FILE.onnx][@REVISION] on a model hub.",
    )
    hashed = click.option(
        "--model-sha256", metavar="HEX", help="Use the model only if its file has this SHA-256."
    )
    return named(hashed(command))


budget_option = click.option(
    "--budget-ms",
    type=click.FloatRange(min=0, min_open=True),
    metavar="MS",
    help="Milliseconds that the model may take for a photo, where its file holds several encoders "
    "(glocal stitch): the most accurate one that keeps it is used, or else the fastest.",
)


def limit_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that limit how large files and images may be."""
    standard = Limits()
    size = click.option(
        "--max-bytes",
        type=click.IntRange(min=1),
        default=standard.max_bytes,
        show_default=True,
        metavar="BYTES",
        help="Skip larger files.",
    )
    pixels = click.option(
        "--max-pixels",
        type=click.IntRange(min=1),
        default=standard.max_pixels,
        show_default=True,
        metavar="PIXELS",
        help="Skip photos with more pixels.",
    )
    return size(pixels(command))


class Photo(click.ParamType[str | Path]):
    """A photo that is named at the command line: a file, ``-``, or a URL, which is then fetched."""

    name = "photo"

    def convert(
        self, value: str | Path, param: click.Parameter | None, ctx: click.Context | None
    ) -> str | Path:
        """The text as it is, but for a URL."""
        if not os.fspath(value):
            self.fail(EMPTY, param, ctx)
        if is_url(os.fspath(value)):
            return as_path(value)
        _refuse_other_urls(self, value, param, ctx)
        return value


class PathOrUrl(FilePath):
    """The path of a file or folder, or its URL."""

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """A `Path`, which may be a `UrlPath`."""
        if is_url(os.fspath(value)):
            return as_path(value)
        _refuse_other_urls(self, value, param, ctx)
        return as_path(super().convert(value, param, ctx))


def _refuse_other_urls(
    kind: click.ParamType[Any],
    value: str | os.PathLike[str],
    param: click.Parameter | None,
    ctx: click.Context | None,
) -> None:
    """Say of a URL that cannot be read that it is one, in place of a file that is missing."""
    scheme = looks_like_url(os.fspath(value))
    if scheme and scheme != "file" and not os.path.exists(value):
        kind.fail(f"{scheme}:// is not read; URLs begin with {', '.join(SCHEMES)}", param, ctx)


class PartOption(click.Option):
    """An option that takes the name of a part of `glocal.registry`.

    Which parts there are is read only when help or a completion is shown, since parts of other
    packages take a moment to find.

    Args:
        kind: Of the parts.
        describe: Gives the text of help.
        also: Values besides the names of parts.
        more: As of `click.Option`.
    """

    def __init__(
        self,
        *arguments: Any,
        kind: Kind,
        describe: Callable[[], str],
        also: Sequence[str] = (),
        **more: Any,
    ) -> None:
        super().__init__(*arguments, **more)
        self._kind = kind
        self._describe = describe
        self._also = also

    def type_cast_value(self, ctx: click.Context, value: Any) -> Any:
        """The value, if there is such a part; ``timm:resnet50`` and the like are not looked up."""
        value = super().type_cast_value(ctx, value)
        if isinstance(value, str) and value not in self._also and ":" not in value:
            try:
                part(self._kind, value)
            except PartError as error:
                raise click.BadParameter(str(error), ctx=ctx, param=self) from error
        return value

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """The option and its text, with the names there are now."""
        self.help = self._describe()
        return super().get_help_record(ctx)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Names that begin like this."""
        from click.shell_completion import CompletionItem

        known = (*names(self._kind), *self._also)
        return [CompletionItem(name) for name in known if name.startswith(incomplete)]


def listed(kind: Kind, *, trait: str | None = None, without: str | None = None) -> str:
    """The names of the parts of a kind, for help."""
    return ", ".join(names(kind, trait=trait, without=without))
