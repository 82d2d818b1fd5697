"""Reading a search out of a request: a form with images, or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from glocal.web.problems import ProblemError, invalid_request
from glocal.web.schemas import Question
from glocal.web.settings import Settings

_JSON_BYTES = 100_000
_LISTS = frozenset({"like", "not"})
_FILES = frozenset({"image", "against"})


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """A search as it came: the fields, and the uploaded images for and against."""

    question: Question
    images: tuple[bytes, ...]
    against: tuple[bytes, ...]


async def read_question(request: Request, settings: Settings) -> Asked:
    """Read a search.

    Raises:
        ProblemError: it is neither a form nor JSON, or says something that makes no sense.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return Asked(_question_of_json(await _small_body(request)), (), ())
    files: dict[str, list[bytes]] = {"image": [], "against": []}
    fields: dict[str, Any] = {}
    for name, value in await read_form(request, settings):
        if isinstance(value, bytes):
            if name not in _FILES:
                raise ProblemError(422, f"{name!r} takes no file; image and against do")
            files[name].append(value)
        elif name in _FILES:
            raise ProblemError(422, f"{name} takes a file: give the part a filename")
        elif name in _LISTS:
            fields.setdefault(name, []).extend(part for part in value.split(",") if part)
        elif name in fields:
            raise ProblemError(422, f"{name} is given twice")
        elif value != "":  # an empty field of a form is none
            fields[name] = value
    return Asked(_validated(fields), tuple(files["image"]), tuple(files["against"]))


async def read_form(request: Request, settings: Settings) -> list[tuple[str, str | bytes]]:
    """The parts of a form in order, files as bytes; both of bounded number and size.

    Raises:
        ProblemError: it is none, it is damaged, or it has too many files or fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ProblemError(415, "send multipart/form-data with images, or application/json")
    most = settings.limits.max_bytes
    try:
        async with request.form(
            max_files=settings.most_images, max_fields=100, max_part_size=_JSON_BYTES
        ) as form:
            parts: list[tuple[str, str | bytes]] = []
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    if (value.size or 0) > most:
                        raise ProblemError(413, f"an image may have {most / 2**20:.0f} MiB")
                    parts.append((name, await value.read()))
                else:
                    parts.append((name, value))
            return parts
    except HTTPException as error:
        raise ProblemError(400, f"the form cannot be read: {error.detail}") from error
    except (ValueError, LookupError) as error:
        raise ProblemError(400, "the form is damaged") from error


async def _small_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _JSON_BYTES:
            raise ProblemError(413, f"JSON may have {_JSON_BYTES} bytes")
    return bytes(body)


def _question_of_json(body: bytes) -> Question:
    try:
        return Question.model_validate_json(body)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False, include_context=False)) from error


def _validated(fields: dict[str, Any]) -> Question:
    try:
        return Question.model_validate(fields)
    except ValidationError as error:
        raise invalid_request(error.errors(include_url=False, include_context=False)) from error
