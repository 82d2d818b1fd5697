"""The necks: feature maps from feature maps (`glocal.learn.contracts.Neck`)."""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS: tuple[Part, ...] = ()
