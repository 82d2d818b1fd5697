"""Python, HTTP and the client have one set of result types."""

from __future__ import annotations

import inspect
import json
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin, get_type_hints

import pytest
from running import Server, photo

from glocal import client, gallery
from glocal.client import Client
from glocal.gallery import Gallery, locating
from glocal.gallery import results as python
from glocal.gallery.results import plain
from glocal.web import results as server
from glocal.web import schemas
from glocal.web.parsing import from_json

DERIVED = [  # on the wire, and in Python
    (schemas.GalleryImage, python.GalleryImage),
    (schemas.Hit, python.Hit),
    (schemas.DuplicateImage, python.DuplicateImage),
    (schemas.DuplicateGroup, python.DuplicateGroup),
    (schemas.SearchPage, server.SearchPage),
    (schemas.ImagePage, server.ImagePage),
    (schemas.DuplicatesPage, server.DuplicatesPage),
    (server.SearchPage, python.SearchResult),
    (server.RunReport, python.IndexReport),
    (schemas.Located, server.LocatedPage),
    (server.LocatedPage, locating.Located),
    (schemas.ProbablePlace, locating.ProbablePlace),
]
ADDED = {
    schemas.GalleryImage: {"name", "thumbnail", "file"},
    schemas.Hit: {"name", "thumbnail", "file"},
    schemas.DuplicateImage: {"name", "thumbnail", "file"},
    schemas.DuplicateGroup: {"rows"},
    server.SearchPage: {"uploads", "more"},
    server.RunReport: {"left_out"},
}


def same(wire: Any, own: Any) -> bool:
    """Whether a type on the wire is Python's, or is made of types derived from Python's."""
    if get_origin(wire) is Annotated:
        return same(get_args(wire)[0], own)
    if is_dataclass(wire) and isinstance(wire, type):
        return wire is own or (wire, own) in DERIVED
    if get_args(wire) and get_args(own):
        return (
            get_origin(wire) is get_origin(own)
            and len(get_args(wire)) == len(get_args(own))
            and all(map(same, get_args(wire), get_args(own)))
        )
    return bool(wire == own)


@pytest.mark.parametrize(("wire", "own"), DERIVED, ids=lambda kind: kind.__name__)
def test_fields_have_the_same_names_and_types(wire: Any, own: Any) -> None:
    found, expected = get_type_hints(wire, include_extras=True), get_type_hints(own)
    assert {each.name for each in fields(own)} == set(expected)
    assert set(found) - set(expected) == ADDED.get(wire, set())
    for name, kind in expected.items():
        assert same(found[name], kind), name


def test_every_python_result_on_the_wire_is_in_the_list() -> None:
    known = {kind for pair in DERIVED for kind in pair}
    modules = (schemas, server)
    derived = {
        each
        for module in modules
        for each in vars(module).values()
        if inspect.isclass(each) and is_dataclass(each) and each.__module__ == module.__name__
        for base in each.__mro__[1:]
        if base.__module__ in (python.__name__, server.__name__)
    }
    assert derived <= known


def test_the_facts_of_info_are_those_of_python() -> None:
    found, expected = get_type_hints(server.ServerInfo), get_type_hints(python.GalleryInfo)
    shared = set(found) & set(expected)
    assert shared == {"images", "files", "failed", "in_graph", "model", "roots", "upgrade"}
    assert {name: found[name] for name in shared if name != "failed"} == {
        name: expected[name] for name in shared if name != "failed"
    }


def test_the_client_has_no_image_or_hit_of_its_own() -> None:
    own = {
        name
        for name, value in vars(client).items()
        if inspect.isclass(value) and value.__module__ == client.__name__
    }
    assert own == {"Client"}
    returns = get_type_hints(Client.image)["return"], get_type_hints(Client.search)["return"]
    assert returns[0] is gallery.GalleryImage
    assert issubclass(returns[1], gallery.SearchResult)


def test_a_search_has_the_same_options_everywhere() -> None:
    options = set(inspect.signature(Gallery.search).parameters) - {"self"}
    request = set(schemas.SearchRequest.model_fields)
    assert options <= request
    # Where the hits are at hand, filter; other searches are methods of their own.
    hits_at_hand, other_searches = {"offset", "min_score"}, {"second_region", "relation"}
    drawings = {"sketch", "any_view"}
    assert request - options == {"url", *hits_at_hand, *other_searches, *drawings}
    assert request == set(inspect.signature(Client.search).parameters) - {"self", "image"}
    defaults = inspect.signature(Gallery.search).parameters
    over_http = inspect.signature(Client.search).parameters
    for name in options - {"query"}:
        assert defaults[name].default == over_http[name].default, name


def test_results_come_over_the_wire_unchanged(server: Server, home: Path) -> None:
    changed = photo(3, size=(400, 300))
    found = server.client().search(changed, limit=5)
    with Gallery(home / "gallery", create=False) as opened:
        expected = opened.search(changed, limit=5)
    assert found.model == expected.model
    for hit, other in zip(found, expected, strict=True):
        assert type(hit) is gallery.Hit
        assert hit.position is None  # the server does not show it
        for name in ("id", "path", "paths", "width", "height", "bytes", "taken", "camera", "space"):
            assert getattr(hit, name) == getattr(other, name)
        assert hit.evidence is not None
        assert hit.evidence.verdict == other.evidence.verdict
        assert hit.scores.keys() == other.scores.keys()


def test_from_json_is_the_inverse_of_plain(guarded: Server, home: Path) -> None:
    with Gallery(home / "gallery", create=False) as opened:
        result = opened.search(photo(1), limit=3)
    assert any(hit.position for hit in result)
    again = from_json(python.SearchResult, json.loads(json.dumps(plain(result))))
    assert again == result


def test_other_members_are_ignored_and_missing_ones_are_not() -> None:
    value = {"path": "/a.jpg", "reason": "empty"}
    assert from_json(python.Failure, value | {"newer": 1}).path == Path("/a.jpg")
    with pytest.raises(KeyError):
        from_json(python.Failure, {"path": "/a.jpg"})
