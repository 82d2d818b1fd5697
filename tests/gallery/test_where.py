from __future__ import annotations

import contextlib
import unicodedata
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy_store import matches

from glocal.errors import QueryError
from glocal.gallery.conditions import (
    AllOf,
    AnyOf,
    Between,
    CameraIn,
    Condition,
    InFolder,
    Near,
    NotThis,
    for_some_copy,
    places_in,
)
from glocal.gallery.records import SEVERAL, Attributes
from glocal.gallery.where import parse
from glocal.geography.gazetteer import Town

DAY = 86_400
YEAR_2019 = 17_897 * DAY  # days from 1970-01-01 to 2019-01-01


class KnownNames:
    """Two folders and two cameras."""

    def find_folder(self, path: Path) -> int | None:
        return self.all_folders().get(path)

    def all_folders(self) -> dict[Path, int]:
        apart = Path(unicodedata.normalize("NFD", "/photos/été"))
        return {Path("/photos"): 1, Path("/photos/a b"): 2, apart: 3}

    def cameras_like(self, text: str) -> tuple[str, ...]:
        return tuple(c for c in ("Canon EOS 5D", "NIKON D90") if text.lower() in c.lower())


WIDE = Between("width", 2, None)
PARIS = Town("Paris", "France", "", 48.85, 2.35, 2_000_000)
TEXAS = Town("Paris", "United States", "Texas", 33.66, -95.56, 25_000)


def only_paris(name: str) -> tuple[Town, list[Town]]:
    if name.lower() == "paris":
        return PARIS, [TEXAS]
    if name.lower() == "paris, texas":
        return TEXAS, []
    raise QueryError(f"no town is named {name!r}")


@pytest.fixture(autouse=True, scope="module")
def towns() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("glocal.gallery.where.town_named", only_paris)
        yield


def read(text: str) -> Condition:
    return parse(text, KnownNames())


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("folder = /photos", InFolder((1,))),
        ("FOLDER='/photos/a b'", InFolder((2,))),
        ("folder = /photos/été", InFolder((3,))),
        (unicodedata.normalize("NFD", "folder = /photos/été"), InFolder((3,))),
        ("folder != /photos", NotThis(InFolder((1,)))),
        ("camera = canon", CameraIn(("Canon EOS 5D",))),
        ('camera = "d90"', CameraIn(("NIKON D90",))),
        ("camera != d", NotThis(CameraIn(("Canon EOS 5D", "NIKON D90")))),
        ("width >= 1000", Between("width", 1000, None)),
        ("width > 1000", Between("width", 1001, None)),
        ("height<=500", Between("height", None, 501)),
        ("height < 500px", Between("height", None, 500)),
        ("width = 7", Between("width", 7, 8)),
        ("width != 7", AnyOf((Between("width", None, 7), Between("width", 8, None)))),
        ("bytes > 2MB", Between("bytes", 2_000_001, None)),
        ("bytes < 1.5 kB".replace(" kB", "kB"), Between("bytes", None, 1500)),
        ("taken = 2019", Between("taken", YEAR_2019, YEAR_2019 + 365 * DAY)),
        ("taken >= 2019-01", Between("taken", YEAR_2019, None)),
        ("taken <= 2019-01-01", Between("taken", None, YEAR_2019 + DAY)),
        ("taken > 2019-01-01T00:01", Between("taken", YEAR_2019 + 120, None)),
        ("taken < 2019-01-01T00:01:30", Between("taken", None, YEAR_2019 + 90)),
        ("taken = 2020-02", Between("taken", 18_293 * DAY, 18_322 * DAY)),
        ("near 48.85,2.35 within 5 km", Near(48.85, 2.35, 5)),
        ("near -48.85, -2.35 within 5km", Near(-48.85, -2.35, 5)),
        ("near 0,0 within 0.5", Near(0, 0, 0.5)),
        ("near 0,0", Near(0, 0, 25)),
        ("near paris within 5 km", Near(48.85, 2.35, 5)),
        ("near 'Paris, Texas'", Near(33.66, -95.56, 25)),
        ("near Paris, Texas and width>1", AllOf((Near(33.66, -95.56, 25), WIDE))),
        ("(near Paris or width>1)", AnyOf((Near(48.85, 2.35, 25), WIDE))),
        (
            "width>1 and height>1 or bytes>1",
            AnyOf(
                (
                    AllOf((Between("width", 2, None), Between("height", 2, None))),
                    Between("bytes", 2, None),
                )
            ),
        ),
        (
            "width>1 and (height>1 or bytes>1)",
            AllOf(
                (
                    Between("width", 2, None),
                    AnyOf((Between("height", 2, None), Between("bytes", 2, None))),
                )
            ),
        ),
        ("not not width > 1", Between("width", 2, None)),
        ("not (width > 1)", NotThis(Between("width", 2, None))),
    ],
)
def test_what_a_condition_means(text: str, meant: Condition) -> None:
    assert read(text) == meant


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "ends where folder, camera"),
        ("widht > 3", "'widht' at character 1"),
        ("width ~ 3", "at character 7"),
        ("width >", "ends where a value"),
        ("width > many", "number such as 2000 or 2MB, not 'many'"),
        ("width > 3 height < 4", "'height' at character 11"),
        ("(width > 3", "'\\)'"),
        ("width > 3)", "at character 10"),
        ("taken = yesterday", "not 'yesterday'"),
        ("taken = 2019-13", "not '2019-13'"),
        ("taken = 2019-02-30", "not '2019-02-30'"),
        ("taken = 0000", "not '0000'"),
        ("folder > /photos", "= and != only"),
        ("near 91,0 within 5 km", "latitude lies between"),
        ("near 9,181 within 5 km", "longitude lies between"),
        ("near within 5 km", "'within' at character 6"),
        ("near", "ends where latitude,longitude in degrees or the name of a town"),
        ("near Lund", "no town is named 'Lund'"),
        ("near nan,0 within 5 km", "latitude lies between"),
        ("near 9,18 within -5 km", "above 0"),
        ("near 9,18 inside 5 km", "not at '18 inside 5 km'"),
        ('camera = "canon', "cannot read"),
        ("folder = /photo", r"nothing in a folder /photo; did you mean '/photos'"),
        ("folder != /other/PHOTOS", r"did you mean '/photos'\?"),
        ("folder = /elsewhere", r"nothing in a folder /elsewhere$"),
        ("folder = ~no-such-user/x", "nothing in a folder"),
        ("camera = cannon", r"did you mean 'Canon EOS 5D'"),
        ("camera != x", r"did you mean 'Canon EOS 5D' or 'NIKON D90'"),
        ("(" * 100 + "width>1" + ")" * 100, "nested too deeply"),
        ("width > 1 and " * 2000 + "width > 1", "longer than"),
    ],
)
def test_what_is_wrong_is_pointed_at(text: str, said: str) -> None:
    with pytest.raises(QueryError, match=said):
        read(text)


def test_a_named_place_says_which_it_is() -> None:
    (near,) = places_in(read("not near Paris"))
    assert near.place == (
        "Paris, France (2,000,000 people); there is also Paris, Texas, United States (25,000)"
    )


@given(st.text())
def test_any_text_is_a_condition_or_a_clear_error(text: str) -> None:
    with contextlib.suppress(QueryError):
        assert read(text) == read(f"({text})")


_WORDS = """folder camera taken width height bytes near within and or not ( ) = != < <= > >= ,
5 2MB 2019 2019-05 '/photos' canon 48.8 km"""
words = st.sampled_from(_WORDS.split())


@given(st.lists(words, max_size=14).map(" ".join))
def test_any_words_are_a_condition_or_a_clear_error(text: str) -> None:
    test_any_text_is_a_condition_or_a_clear_error.hypothesis.inner_test(text)


homes = st.lists(st.integers(1, 4), min_size=1, max_size=3, unique=True)
leaves = st.one_of(
    st.builds(InFolder, st.lists(st.integers(1, 4), max_size=2).map(tuple)),
    st.builds(Between, st.just("width"), st.none() | st.integers(0, 9), st.none()),
)
trees = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.builds(NotThis, inner),
        st.builds(AllOf, st.lists(inner, max_size=3).map(tuple)),
        st.builds(AnyOf, st.lists(inner, max_size=3).map(tuple)),
    ),
    max_leaves=6,
)


@given(trees, homes, st.integers(0, 9))
def test_no_copy_that_qualifies_is_kept_back(
    where: Condition, homes: list[int], width: int
) -> None:
    several = (SEVERAL,) if len(homes) > 1 else ()
    together = Attributes((*several, *homes), width, 1, 1)
    relaxed = matches(for_some_copy(where), together)
    copies = [matches(where, Attributes((home,), width, 1, 1)) for home in homes]
    assert relaxed or not any(copies)
    if len(homes) == 1:
        assert relaxed == copies[0]
