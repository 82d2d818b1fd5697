"""Search a gallery with another model than it was indexed with, through a bridge.

A `Bridge` maps between two vector spaces. `make_bridge` makes one by name, `fit_bridge` fits and
measures it on images that both models encoded, `save_bridge` and `load_bridge` keep it in a file.
"""

from glocal.upgrade.bridge import DEFAULT_BRIDGE, Bridge, make_bridge
from glocal.upgrade.bridge_file import BridgeCard, load_bridge, read_bridge_card, save_bridge
from glocal.upgrade.fitting import FittedBridge, fit_bridge
from glocal.upgrade.measure import BridgeMeasurement, measure_bridge

__all__ = [
    "DEFAULT_BRIDGE",
    "Bridge",
    "BridgeCard",
    "BridgeMeasurement",
    "FittedBridge",
    "fit_bridge",
    "load_bridge",
    "make_bridge",
    "measure_bridge",
    "read_bridge_card",
    "save_bridge",
]
