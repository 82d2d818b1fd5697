"""Files of bridges: whole, damaged, foreign, and hostile ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from bridge_spaces import spaces
from glocal.encoders import DEFAULT_MODEL, find_model, load_encoder
from glocal.errors import BridgeError
from glocal.upgrade import load_bridge, make_bridge, read_bridge_card, save_bridge

ABOUT = {"old_space": "v1", "new_space": "v2", "anchors": 240, "glocal_version": "0.1.0"}


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("bridge") / "b"
    save_bridge(path, make_bridge("procrustes").fit(*spaces()), **ABOUT, measured={"own": 0.5})
    return path.read_bytes()


def parted(content: bytes) -> tuple[dict, bytes]:
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def joined(header: dict, data: bytes) -> bytes:
    text = json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def with_card(content: bytes, **changed: object) -> bytes:
    header, data = parted(content)
    card = json.loads(header["__metadata__"]["glocal.card"]) | changed
    header["__metadata__"]["glocal.card"] = json.dumps(card)
    return joined(header, data)


def refused(tmp_path: Path, content: bytes) -> str:
    path = tmp_path / "x.bridge"
    path.write_bytes(content)
    with pytest.raises(BridgeError) as caught:
        load_bridge(path)
    assert str(path) in str(caught.value)
    return str(caught.value)


def test_the_card_is_read_without_the_arrays(tmp_path, written):
    path = tmp_path / "b"
    path.write_bytes(written[:-100])  # some of the arrays are missing, which the card does not need
    whole = tmp_path / "whole"
    whole.write_bytes(written)
    card = read_bridge_card(whole)
    assert (card.old_space, card.new_space, card.measured) == ("v1", "v2", {"own": 0.5})
    assert (card.old_dim, card.new_dim, card.dim, card.anchors) == (24, 32, 24, 240)
    with pytest.raises(BridgeError, match="copy the file again"):
        read_bridge_card(path)


def test_safetensors_reads_the_arrays(tmp_path, written):
    load = pytest.importorskip("safetensors.numpy").load
    arrays = load(written)
    path = tmp_path / "b"
    path.write_bytes(written)
    own = load_bridge(path)[0].arrays()
    assert arrays.keys() == own.keys()
    assert all(np.array_equal(arrays[name], own[name]) for name in own)


def test_every_truncation_is_refused(tmp_path, written):
    for length in [0, 1, 7, 8, 9, 100, 500, len(written) // 2, len(written) - 1]:
        assert "cannot be used" in refused(tmp_path, written[:length])


def test_a_flipped_bit_of_the_arrays_is_refused(tmp_path, written):
    changed = bytearray(written)
    changed[-5] ^= 1
    assert "its arrays are damaged" in refused(tmp_path, bytes(changed))


@pytest.mark.parametrize(
    "content",
    [
        b"\x80\x04\x95" + bytes(100),  # a pickle
        b"PK\x03\x04" + bytes(100),
        bytes(1000),
        (1 << 62).to_bytes(8, "little") + b"{}",
        (4).to_bytes(8, "little") + b"[[[[",
        joined({}, b""),
        joined({"__metadata__": []}, b""),
        joined(
            {"__metadata__": {"glocal.bridge": "1", "glocal.card": "{", "glocal.sha256": ""}}, b""
        ),
        (60_000).to_bytes(8, "little") + b"[" * 60_000,
    ],
)
def test_what_is_no_bridge_is_refused(tmp_path, content):
    assert "is not a bridge; give a file that glocal wrote" in refused(tmp_path, content)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "no-such"}, "needs a part: there is no bridge named 'no-such'"),
        ({"name": 3}, "name is 3"),
        ({"old_space": ""}, "old_space is ''"),
        ({"old_dim": 10**9}, "old_dim is 1000000000"),
        ({"old_dim": True}, "old_dim is True"),
        ({"new_dim": 33}, "its array 'map' has the shape (32, 24), not (33, 24)"),
        ({"dim": 25}, "its card names dim 25, its arrays have 24"),
        ({"anchors": -1}, "anchors is -1"),
        ({"measured": {"own": "good"}}, "measured is {'own': 'good'}"),
        ({"measured": None}, "measured is None"),
    ],
)
def test_a_damaged_card_is_refused(tmp_path, written, changed, said):
    assert said in refused(tmp_path, with_card(written, **changed))


def test_arrays_have_to_fill_the_file_exactly(tmp_path, written):
    header, data = parted(written)
    assert "copy the file again" in refused(tmp_path, joined(header, data + b"more"))
    for change in (
        {"dtype": "F64"},
        {"shape": [32, 25]},
        {"shape": [1 << 40, 1 << 40]},
        {"shape": [-32, -24]},
        {"shape": "32"},
        {"data_offsets": [4, 3076]},
        {"data_offsets": [0]},
    ):
        wrong = json.loads(json.dumps(header))
        wrong["map"].update(change)
        assert "table of arrays is damaged" in refused(tmp_path, joined(wrong, data))


def test_a_file_of_a_later_format_asks_for_an_update(tmp_path, written):
    header, data = parted(written)
    header["__metadata__"]["glocal.bridge"] = "2"
    assert "update glocal" in refused(tmp_path, joined(header, data))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(BridgeError, match="there is no bridge"):
            load_bridge(path)


def test_a_failed_write_leaves_the_old_file(tmp_path, written, monkeypatch):
    path = tmp_path / "b"
    path.write_bytes(written)
    bridge = load_bridge(path)[0]
    monkeypatch.setattr("os.fsync", _full)
    with pytest.raises(BridgeError, match="cannot be written: No space left"):
        save_bridge(path, bridge, **ABOUT)
    assert path.read_bytes() == written
    assert [each.name for each in tmp_path.iterdir()] == ["b"]


def _full(_: int) -> None:
    raise OSError(28, "No space left on device")


def test_an_impossible_card_is_not_written(tmp_path):
    bridge = make_bridge("procrustes").fit(*spaces())
    with pytest.raises(BridgeError, match="cannot be saved: old_space is ''"):
        save_bridge(tmp_path / "b", bridge, **ABOUT | {"old_space": ""})
    with pytest.raises(BridgeError, match="is not fitted"):
        save_bridge(tmp_path / "b", make_bridge("ridge"), **ABOUT)
    assert not list(tmp_path.iterdir())


def test_version_3_of_the_bundled_model_comes_with_a_bridge_from_version_2(version_2: Path) -> None:
    bridge, card = load_bridge(find_model(DEFAULT_MODEL).with_suffix(".bridge"))
    assert card.old_space == load_encoder(version_2).space
    assert card.new_space == load_encoder(DEFAULT_MODEL).space
    assert bridge.keeps_gallery
    assert bridge.queries(np.eye(3, card.new_dim, dtype=np.float32)).shape == (3, card.dim)


def test_the_larger_bundled_model_comes_with_a_bridge_from_the_default() -> None:
    bridge, card = load_bridge(find_model("glocal-lite2").with_suffix(".bridge"))
    assert card.old_space == load_encoder(DEFAULT_MODEL).space
    assert card.new_space == load_encoder("glocal-lite2").space
    assert bridge.keeps_gallery
