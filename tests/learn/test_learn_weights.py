from __future__ import annotations

import os
import pickle
import sys

import pytest

torch = pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from tiny_backbone import Tiny  # noqa: E402

from glocal.errors import MissingExtraError, ModelError  # noqa: E402
from glocal.learn import weights  # noqa: E402
from glocal.learn.backbones.efficientnet_lite import EfficientNetLite0  # noqa: E402
from glocal.learn.weights import load_in_order, packaged_file, read_weights  # noqa: E402


def renamed(state):
    """The same tensors as another project would name them, with a classifier at the end."""
    other = {f"model.layer{i}.x": tensor for i, tensor in enumerate(state.values())}
    return {**other, "classifier.weight": torch.rand(10, 16)}


def test_weights_are_loaded_whatever_their_names(tmp_path):
    made, empty = Tiny(), Tiny()
    names = [k for k in made.state_dict() if not k.endswith("num_batches_tracked")]
    state = {k: torch.rand_like(made.state_dict()[k]) for k in names}
    torch.save(renamed(state), tmp_path / "w.pth")
    load_in_order(empty, read_weights(str(tmp_path / "w.pth")), "w.pth")
    assert all(torch.equal(empty.state_dict()[k], state[k]) for k in names)


def test_the_state_dict_in_a_checkpoint_is_found(tmp_path):
    state = Tiny().state_dict()
    torch.save({"state_dict": state, "epoch": 3}, tmp_path / "w.pt")
    found = read_weights(str(tmp_path / "w.pt"))
    assert found.keys() == state.keys()


def test_safetensors_are_read(tmp_path):
    pytest.importorskip("safetensors", reason="safetensors is not installed")
    from safetensors.torch import save_file

    state = {k: v.contiguous() for k, v in Tiny().state_dict().items()}
    save_file(state, tmp_path / "w.safetensors")
    found = read_weights(str(tmp_path / "w.safetensors"))
    assert all(torch.equal(found[k], state[k]) for k in state)
    (tmp_path / "bad.safetensors").write_bytes(b"nothing")
    with pytest.raises(ModelError, match=r"bad\.safetensors cannot be read"):
        read_weights(str(tmp_path / "bad.safetensors"))


def test_missing_safetensors_is_reported(tmp_path, monkeypatch):
    for name in ("safetensors", "safetensors.torch"):
        monkeypatch.setitem(sys.modules, name, None)
    (tmp_path / "w.safetensors").write_bytes(b"")
    with pytest.raises(MissingExtraError, match="pip install safetensors"):
        read_weights(str(tmp_path / "w.safetensors"))


def test_an_efficientnet_reads_a_file(tmp_path):
    made = EfficientNetLite0(weights="none")
    torch.save(made.state_dict(), tmp_path / "lite.pth")
    again = EfficientNetLite0(weights=str(tmp_path / "lite.pth"))
    assert all(
        torch.equal(a, b)
        for a, b in zip(made.state_dict().values(), again.state_dict().values(), strict=True)
    )


def test_weights_of_another_network_are_refused(tmp_path):
    with pytest.raises(ModelError, match=r"theirs has 2 tensors, but the network has \d+"):
        load_in_order(Tiny(), {"a": torch.zeros(1), "b": torch.zeros(1)}, "theirs")
    wide = Tiny(widths=(8, 12, 20)).state_dict()
    with pytest.raises(ModelError, match=r"theirs belongs to another network: its .* is \(20, 12"):
        load_in_order(Tiny(), wide, "theirs")


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harm",)


@pytest.mark.parametrize("harm", ["code", "garbage", "empty", "list", "numbers"])
def test_damaged_files_are_reported_and_run_no_code(tmp_path, monkeypatch, harm):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "w.pth"
    if harm == "code":
        torch.save({"a": Harmful()}, path)
    elif harm == "garbage":
        path.write_bytes(b"\x00garbage" * 100)
    elif harm == "empty":
        path.write_bytes(b"")
    else:
        torch.save([1, 2] if harm == "list" else {"a": 1}, path)
    with pytest.raises(ModelError, match=r"w\.pth"):
        read_weights(str(path))
    assert not (tmp_path / "harm").exists()


def test_a_plain_pickle_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "w.pt").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(ModelError, match=r"w\.pt cannot be read"):
        read_weights(str(tmp_path / "w.pt"))
    assert not (tmp_path / "harm").exists()


def test_a_missing_package_is_reported_with_the_command(tmp_path):
    with pytest.raises(ModelError, match=r"no file of weights .*gone\.pth"):
        read_weights(str(tmp_path / "gone.pth"))
    with pytest.raises(MissingExtraError, match="in the package no-such-model: pip install"):
        packaged_file("no_such_model", "File", "no-such-model")
    with pytest.raises(ModelError, match="hub:owner/name/file"):
        read_weights("hub:owner/name")


def test_a_hub_file_is_fetched_by_owner_name_and_path(tmp_path, monkeypatch):
    state = Tiny().state_dict()
    torch.save(state, tmp_path / "w.pth")
    asked = []

    class Hub:
        @staticmethod
        def hf_hub_download(repository, file):
            asked.append((repository, file))
            if file == "gone.pth":
                raise OSError("404")
            return str(tmp_path / "w.pth")

    monkeypatch.setattr(weights, "import_module", lambda name: Hub)
    assert read_weights("hub:owner/name/sub/w.pth").keys() == state.keys()
    assert asked == [("owner/name", "sub/w.pth")]
    with pytest.raises(ModelError, match=r"hub:owner/name/gone\.pth could not be fetched: 404"):
        read_weights("hub:owner/name/gone.pth")


def test_timm_weights_come_in_the_same_order(monkeypatch):
    # Stands in for timm: the weights under other names.
    state = EfficientNetLite0(weights="none").state_dict()
    wanted = {k: v for k, v in state.items() if not k.endswith("num_batches_tracked")}

    class Timm:
        @staticmethod
        def create_model(name, *, pretrained):
            assert (name, pretrained) == ("tf_efficientnet_lite0.in1k", True)
            return Holding(renamed(wanted))

    monkeypatch.setitem(sys.modules, "timm", Timm)
    made = EfficientNetLite0(weights="timm:tf_efficientnet_lite0.in1k")
    assert all(torch.equal(made.state_dict()[k], v) for k, v in wanted.items())


class Holding:
    def __init__(self, state):
        self._state = state

    def state_dict(self):
        return self._state
