"""The necks: feature maps from feature maps (`glocal.learn.contracts.Neck`)."""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS: tuple[Part, ...] = (
    Part(
        "neck",
        "fpn",
        "Lin, Dollár, Girshick, He, Hariharan and Belongie, Feature Pyramid Networks for "
        "Object Detection, 2017",
        "glocal.learn.necks.fpn:FeaturePyramid",
        requires=_LEARN,
    ),
)
