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
        "resnest",
        "Zhang et al., ResNeSt: Split-Attention Networks, 2022",
        "glocal.learn.backbones.timm_families:ResNeSt",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "dla",
        "Yu, Wang, Shelhamer and Darrell, Deep Layer Aggregation, 2018",
        "glocal.learn.backbones.timm_families:Dla",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "dpn",
        "Chen, Li, Xiao, Jin, Yan and Feng, Dual Path Networks, 2017",
        "glocal.learn.backbones.timm_families:DualPathNetwork",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "hrnet",
        "Wang et al., Deep High-Resolution Representation Learning for Visual Recognition, 2020",
        "glocal.learn.backbones.timm_families:HrNet",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "rexnet",
        "Han, Yun, Heo and Yoo, Rethinking Channel Dimensions for Efficient Model Design, 2021",
        "glocal.learn.backbones.timm_families:ReXNet",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "inceptionnext",
        "Yu, Zhou, Yan and Wang, InceptionNeXt: When Inception Meets ConvNeXt, 2024",
        "glocal.learn.backbones.timm_families:InceptionNeXt",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "gc-vit",
        "Hatamizadeh, Yin, Heinrich, Kautz and Molchanov, Global Context Vision Transformers, 2023",
        "glocal.learn.backbones.timm_families:GcVit",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "maxvit",
        "Tu et al., MaxViT: Multi-Axis Vision Transformer, 2022",
        "glocal.learn.backbones.timm_families:MaxVit",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "convit",
        "d'Ascoli et al., ConViT: Improving Vision Transformers with Soft Convolutional "
        "Inductive Biases, 2021",
        "glocal.learn.backbones.timm_families:ConVit",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "efficientvim",
        "Lee, Choi and Kim, EfficientViM: Efficient Vision Mamba with Hidden State Mixer "
        "based State Space Duality, 2025",
        "glocal.learn.backbones.timm_families:EfficientViM",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "iformer-mobile",
        "Zheng, iFormer: Integrating ConvNet and Transformer for Mobile Application, 2025",
        "glocal.learn.backbones.timm_families:IFormer",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "cbnetv2",
        "Liang et al., CBNet: A Composite Backbone Network Architecture for Object Detection, 2022",
        "glocal.learn.backbones.composite:CompositeBackbone",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "duoformer",
        "Tang et al., DuoFormer: Leveraging Hierarchical Representations by Local and Global "
        "Attention Vision Transformer, 2024",
        "glocal.learn.backbones.duoformer:DuoFormer",
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
