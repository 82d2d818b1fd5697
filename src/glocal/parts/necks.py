"""The necks: feature maps from feature maps (`glocal.learn.contracts.Neck`).

One with the trait ``guided`` takes a single feature map and the image instead.
"""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS = (
    Part(
        "neck",
        "fpn",
        "Lin, Dollár, Girshick, He, Hariharan and Belongie, Feature Pyramid Networks for Object "
        "Detection, 2017",
        "glocal.learn.necks.fpn:FeaturePyramid",
        requires=_LEARN,
    ),
    Part(
        "neck",
        "iterative-aggregation",
        "Yu, Wang, Shelhamer and Darrell, Deep Layer Aggregation, 2018",
        "glocal.learn.necks.iterative_aggregation:IterativeAggregation",
        requires=_LEARN,
    ),
    Part(
        "neck",
        "featup",
        "Fu, Hamilton, Brandt, Feldman, Zhang and Freeman, FeatUp: A Model-Agnostic Framework for "
        "Features at Any Resolution, 2024",
        "glocal.learn.necks.featup:GuidedUpsampling",
        requires=_LEARN,
        traits=("guided",),
    ),
)
