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
_LSNET = "Wang, Chen, Lin, Han and Ding, LSNet: See Large, Focus Small, 2025"
_INCEPTION = "Si, Yu, Zhou, Zhou, Wang and Yan, Inception Transformer, 2022"
_SVIT = "Huang, Zhou, Cao, He and Tan, Vision Transformer with Super Token Sampling, 2023"
_GLMIX = (
    "Zhu, Wang and Lau, Revisiting the Integration of Convolution and Attention for Vision "
    "Backbone, 2024"
)
_DUALTOKEN = (
    "Chu et al., DualToken-ViT: Position-aware Efficient Vision Transformer with Dual Token "
    "Fusion, 2023"
)
_TERMINATOR = (
    "Zhang, HyperZZW Operator Connects Slow-Fast Networks for Full Context Interaction, 2024"
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
        "lsnet-t",
        _LSNET,
        "glocal.learn.backbones.lsnet:LsNetT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "lsnet-s",
        _LSNET,
        "glocal.learn.backbones.lsnet:LsNetS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "lsnet-b",
        _LSNET,
        "glocal.learn.backbones.lsnet:LsNetB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "lsnet-tiny",
        _LSNET,
        "glocal.learn.backbones.lsnet:LsNetTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "inception-transformer-s",
        _INCEPTION,
        "glocal.learn.backbones.inception_transformer:InceptionTransformerS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "inception-transformer-b",
        _INCEPTION,
        "glocal.learn.backbones.inception_transformer:InceptionTransformerB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "inception-transformer-l",
        _INCEPTION,
        "glocal.learn.backbones.inception_transformer:InceptionTransformerL",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "inception-transformer-tiny",
        _INCEPTION,
        "glocal.learn.backbones.inception_transformer:InceptionTransformerTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "svit-s",
        _SVIT,
        "glocal.learn.backbones.svit:SViTS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "svit-b",
        _SVIT,
        "glocal.learn.backbones.svit:SViTB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "svit-tiny",
        _SVIT,
        "glocal.learn.backbones.svit:SViTTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "glnet-stl",
        _GLMIX,
        "glocal.learn.backbones.glmix:GlNetStl",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "glnet-4g",
        _GLMIX,
        "glocal.learn.backbones.glmix:GlNet4G",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "glnet-9g",
        _GLMIX,
        "glocal.learn.backbones.glmix:GlNet9G",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "glnet-tiny",
        _GLMIX,
        "glocal.learn.backbones.glmix:GlNetTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "dualtoken-vit-tiny",
        _DUALTOKEN,
        "glocal.learn.backbones.dualtoken_vit:DualTokenViTTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "terminator",
        _TERMINATOR,
        "glocal.learn.backbones.terminator:Terminator",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "terminator-tiny",
        _TERMINATOR,
        "glocal.learn.backbones.terminator:TerminatorTiny",
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
