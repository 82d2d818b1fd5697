"""The backbones: from an image to feature maps (`glocal.learn.contracts.Backbone`).

One with the trait ``size`` is another size of one before it; contract tests leave it out.
"""

from glocal.registry import Part

_LEARN = "glocal[learn]"
_LITE = (
    "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural Networks, "
    "2019; Liu, Higher accuracy on vision models with EfficientNet-Lite, 2020"
)
_DENSE = "Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks, 2017"
_DHVT = (
    "Lu, Xie, Liu and Zhang, Bridging the Gap Between Vision Transformers and Convolutional Neural "
    "Networks on Small Datasets, 2022"
)

ROWS = (
    Part(
        "backbone",
        "efficientnet-lite0",
        _LITE,
        "glocal.learn.backbones.efficientnet_lite:EfficientNetLite0",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "efficientnet-lite1",
        _LITE,
        "glocal.learn.backbones.efficientnet_lite:EfficientNetLite1",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "efficientnet-lite2",
        _LITE,
        "glocal.learn.backbones.efficientnet_lite:EfficientNetLite2",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "densenet121",
        _DENSE,
        "glocal.learn.backbones.densenet:DenseNet121",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "densenet169",
        _DENSE,
        "glocal.learn.backbones.densenet:DenseNet169",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "densenet201",
        _DENSE,
        "glocal.learn.backbones.densenet:DenseNet201",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "densenet-tiny",
        _DENSE,
        "glocal.learn.backbones.densenet:DenseNetTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "nin",
        "Lin, Chen and Yan, Network In Network, 2014",
        "glocal.learn.backbones.nin:Nin",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "dhvt-t",
        _DHVT,
        "glocal.learn.backbones.dhvt:DhvtT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "dhvt-s",
        _DHVT,
        "glocal.learn.backbones.dhvt:DhvtS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "dhvt-tiny",
        _DHVT,
        "glocal.learn.backbones.dhvt:DhvtTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "timm",
        "Wightman, PyTorch Image Models, 2019",
        "glocal.learn.backbones.timm_model:TimmBackbone",
        requires=_LEARN,
    ),
)
