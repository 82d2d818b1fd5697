"""Reading a search out of a request: a form with images, or JSON."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request

from glocal.web.problems import ProblemError, invalid_request
from glocal.web.schemas import BatchRequest, LocateRequest, SearchRequest, SelectionRequest
from glocal.web.settings import Settings

_JSON_BYTES = 100_000
_FILE = {"type": "string", "format": "binary"}
Fields = TypeVar("Fields", bound=BaseModel)


@dataclass(frozen=True, slots=True, eq=False)
class Received(Generic[Fields]):
    """A request as it was sent.

    Attributes:
        fields: all fields that are not files.
        files: the uploaded images of each field.
    """

    fields: Fields
    files: dict[str, list[bytes]]


async def read_search(request: Request, settings: Settings) -> Received[SearchRequest]:
    """Read a search.

    Raises:
        ProblemError: the body is neither a form nor JSON, or a field is wrong.
    """
    received = await _read(
        request, settings, SearchRequest, files=("image", "like", "unlike"), ids=("like", "unlike")
    )
    if len(received.files["image"]) > 1:
        raise ProblemError(
            422,
            "there are several query images; send one as image and further examples as like, "
            "or use /v1/search/batch",
            kind="urn:glocal:invalid",
        )
    return received


async def read_batch(request: Request, settings: Settings) -> Received[BatchRequest]:
    """Read a batch of searches; for errors see `read_search`."""
    return await _read(request, settings, BatchRequest, files=("image",), ids=("query",))


async def read_locate(request: Request, settings: Settings) -> Received[LocateRequest]:
    """Read whose place is wanted; for errors see `read_search`."""
    return await _read(request, settings, LocateRequest, files=("image",), ids=())


async def read_selection(request: Request, settings: Settings) -> list[str]:
    """Read the ids of images, each once; for errors see `read_search`."""
    received = await _read(request, settings, SelectionRequest, files=(), ids=("images",))
    return list(dict.fromkeys(received.fields.images))


async def _read(
    request: Request,
    settings: Settings,
    model: type[Fields],
    *,
    files: tuple[str, ...],
    ids: tuple[str, ...],
) -> Received[Fields]:
    """Read a form or JSON.

    Args:
        request: its body must not have been read.
        settings: the owner's decisions.
        model: of the fields that are not files.
        files: fields of a form that may be files.
        ids: fields that are lists of ids: repeated, or joined by commas.
    """
    uploads: dict[str, list[bytes]] = {name: [] for name in files}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        body = await _small_body(request)
        try:
            return Received(model.model_validate_json(body), uploads)
        except ValidationError as error:
            raise _invalid(error) from error
    fields: dict[str, Any] = {}
    for name, value in await read_form(request, settings):
        if isinstance(value, bytes):
            if name not in uploads:
                instead = f"; send files as {_any_of(files)}" if files else ""
                raise ProblemError(422, f"{name} cannot be a file{instead}")
            uploads[name].append(value)
        elif name in ids:
            fields.setdefault(name, []).extend(part for part in value.split(",") if part)
        elif name in uploads:
            raise ProblemError(422, f"{name} is not a file; give the part a filename")
        elif name in fields:
            raise ProblemError(422, f"{name} is given twice; give it once")
        elif value != "":  # an empty field of a form counts as not given
            fields[name] = value
    try:
        return Received(model.model_validate(fields), uploads)
    except ValidationError as error:
        raise _invalid(error) from error


async def read_form(request: Request, settings: Settings) -> list[tuple[str, str | bytes]]:
    """The parts of a form in order, files as bytes; both of bounded number and size.

    Raises:
        ProblemError: the body is not a form, is damaged, or has too many files or fields.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        raise ProblemError(
            415, "unsupported content type; send multipart/form-data or application/json"
        )
    most = settings.limits.max_bytes
    try:
        async with request.form(
            max_files=settings.most_images, max_fields=100, max_part_size=_JSON_BYTES
        ) as form:
            parts: list[tuple[str, str | bytes]] = []
            for name, value in form.multi_items():
                if isinstance(value, UploadFile):
                    if (value.size or 0) > most:
                        raise ProblemError(413, f"images can be up to {megabytes(most)}")
                    parts.append((name, await value.read()))
                else:
                    parts.append((name, value))
            return parts
    except HTTPException as error:
        raise ProblemError(400, f"the form cannot be read: {error.detail}") from error
    except (ValueError, LookupError) as error:
        raise ProblemError(400, "the form is damaged") from error


def megabytes(size: int) -> str:
    """A limit in bytes as people write it."""
    return f"{size / 2**20:.0f} MB"


def _any_of(names: tuple[str, ...]) -> str:
    *first, last = names
    return f"{', '.join(first)} or {last}" if first else last


async def _small_body(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > _JSON_BYTES:
            raise ProblemError(413, f"a JSON body can be up to {_JSON_BYTES:,} bytes")
    return bytes(body)


def _invalid(error: ValidationError) -> ProblemError:
    return invalid_request(error.errors(include_url=False, include_context=False))


# The description of the bodies, which FastAPI does not see


def body_of(name: str) -> dict[str, Any]:
    """What a route adds to its description: its body is a form or, if there is one, JSON."""
    content = {"multipart/form-data": _reference(f"{name}Form")}
    if f"{name}Request" in BODIES:
        content["application/json"] = _reference(f"{name}Request")
    return {"requestBody": {"required": True, "content": content}}


def _reference(name: str) -> dict[str, Any]:
    return {"schema": {"$ref": f"#/components/schemas/{name}"}}


def _form(model: type[BaseModel] | None, **files: Any) -> dict[str, Any]:
    """The schema of a form: the fields of JSON, which a form cannot set to null, and files."""
    fields: dict[str, Any] = {}
    for name, field in ({} if model is None else model.model_json_schema()["properties"]).items():
        (kind, *_) = field.get("anyOf", [field])
        fields[name] = {**kind, **field}
        fields[name].pop("anyOf", None)
        if fields[name].get("default", "") is None:
            del fields[name]["default"]
    return {
        "description": "A form, which can contain images. Ids may be repeated or joined by commas.",
        "type": "object",
        "properties": {**fields, **files},
        "additionalProperties": False,
    }


def _images(description: str, **more: Any) -> dict[str, Any]:
    return {"type": "array", "items": _FILE, "maxItems": 16, "description": description, **more}


_EXAMPLES = {"anyOf": [_FILE, {"type": "string"}]}
_REGION = {
    "type": "string",
    "maxLength": 200,
    "description": "x,y,width,height of the part of the query image to search for, in pixels of "
    "the upright image, or as fractions if all are at most 1.",
}
BODIES: dict[str, dict[str, Any]] = {
    "SearchRequest": SearchRequest.model_json_schema(),
    "SearchForm": _form(
        SearchRequest,
        image=_FILE | {"description": "The query image."},
        region=_REGION,
        second_region=_REGION | {"description": "As `region`, of a second thing."},
        like=_images("Positive examples, besides the query: images or ids.", items=_EXAMPLES),
        unlike=_images("Negative examples: images or ids.", items=_EXAMPLES),
    ),
    "BatchRequest": BatchRequest.model_json_schema(),
    "LocateRequest": LocateRequest.model_json_schema(),
    "LocateForm": _form(LocateRequest, image=_FILE | {"description": "The photo."}),
    "SelectionRequest": SelectionRequest.model_json_schema(),
    "SelectionForm": _form(SelectionRequest),
    "BatchForm": _form(BatchRequest, image=_images("The query images.")),
    "AddImagesForm": _form(None, image=_images("The images.", minItems=1))
    | {"description": "Images as a form.", "required": ["image"]},
}
"""The schemas of the bodies that `read_search`, `read_batch` and `read_form` read, by name."""
