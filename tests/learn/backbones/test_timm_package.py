"""What a person is told when timm cannot be imported."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("torch", reason="training needs torch: pip install 'glocal[learn]'")

from glocal.errors import MissingExtraError
from glocal.learn.backbones.timm_model import TimmBackbone
from glocal.learn.weights import read_weights

USERS = [
    lambda: TimmBackbone("resnet18", weights="none"),
    lambda: read_weights("timm:tf_efficientnet_lite0"),
]


@pytest.fixture(params=USERS, ids=["backbone", "weights"])
def use(request):
    return request.param


def forget(package, monkeypatch):
    """Let a package that was imported before be imported anew."""
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Puts a package timm of the given text before the installed one."""
    forget("timm", monkeypatch)

    def write(text):
        (tmp_path / "timm").mkdir()
        (tmp_path / "timm" / "__init__.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)

    yield write
    sys.modules.pop("timm", None)


def test_timm_itself_is_missing(use, monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(MissingExtraError, match=r"needs the package timm.*pip install timm"):
        use()


def test_torchvision_is_missing(use, stand_in, monkeypatch):
    forget("torchvision", monkeypatch)
    monkeypatch.setitem(sys.modules, "torchvision", None)
    stand_in("from torchvision.ops.misc import FrozenBatchNorm2d")
    with pytest.raises(
        MissingExtraError, match=r"needs the package torchvision.*install torchvision$"
    ):
        use()


def test_torchvision_was_built_for_another_torch(use, stand_in):
    stand_in("raise RuntimeError('operator torchvision::nms does not exist')")
    with pytest.raises(MissingExtraError, match=r"nms does not exist.*pip install torch torchv"):
        use()
