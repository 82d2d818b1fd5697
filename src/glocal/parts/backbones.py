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
_CAS = (
    "Zhang, Li, Zhou, Liu, Qian and Ji, CAS-ViT: Convolutional Additive Self-attention "
    "Vision Transformers for Efficient Mobile Applications, 2024"
)
_UNIREP = (
    "Ding, Zhang, Ge, Zhao, Song, Yue and Shan, UniRepLKNet: A Universal Perception "
    "Large-Kernel ConvNet for Audio, Video, Point Cloud, Time-Series and Image Recognition, 2024"
)
_SPARTAN = (
    "Pay, Baskaran, Loo, Wong and See, SpaRTAN: Spatial Reinforcement Token-based "
    "Aggregation Network for Visual Recognition, 2025"
)
_MSMLP = (
    "Zheng, He, Chen and Zhou, Mixing and Shifting: Exploiting Global and Local "
    "Dependencies in Vision MLPs, 2022"
)
_UNIFORMER = (
    "Li, Wang, Zhang, Gao, Song, Liu, Li and Qiao, UniFormer: Unifying Convolution and "
    "Self-attention for Visual Recognition, 2022"
)
_DINAT = "Hassani and Shi, Dilated Neighborhood Attention Transformer, 2022"
_CVT = (
    "Wu, Xiao, Codella, Liu, Dai, Yuan and Zhang, CvT: Introducing Convolutions to Vision "
    "Transformers, 2021"
)
_CSWIN = (
    "Dong, Bao, Chen, Zhang, Yu, Yuan, Chen and Guo, CSWin Transformer: A General Vision "
    "Transformer Backbone with Cross-Shaped Windows, 2022"
)
_EFFVM = (
    "Pei, Huang and Xu, EfficientVMamba: Atrous Selective Scan for Light Weight Visual Mamba, 2024"
)
_MSVM = (
    "Shi, Dong and Xu, Multi-Scale VMamba: Hierarchy in Hierarchy Visual State Space Model, 2024"
)
_RAFT = (
    "Tatsunami and Taki, RaftMLP: How Much Can Be Done Without Attention and with Less Spatial "
    "Locality?, 2022"
)
_TRANSNEXT = "Shi, TransNeXt: Robust Foveal Visual Perception for Vision Transformers, 2024"

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
        "cas-vit-tiny",
        _CAS,
        "glocal.learn.backbones.cas_vit:CasVitTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "cas-vit-xs",
        _CAS,
        "glocal.learn.backbones.cas_vit:CasVitXs",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cas-vit-s",
        _CAS,
        "glocal.learn.backbones.cas_vit:CasVitS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cas-vit-m",
        _CAS,
        "glocal.learn.backbones.cas_vit:CasVitM",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cas-vit-t",
        _CAS,
        "glocal.learn.backbones.cas_vit:CasVitT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "unireplknet-tiny",
        _UNIREP,
        "glocal.learn.backbones.unireplknet:UniRepLkNetTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "unireplknet-a",
        _UNIREP,
        "glocal.learn.backbones.unireplknet:UniRepLkNetA",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "unireplknet-f",
        _UNIREP,
        "glocal.learn.backbones.unireplknet:UniRepLkNetF",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "unireplknet-p",
        _UNIREP,
        "glocal.learn.backbones.unireplknet:UniRepLkNetP",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "unireplknet-n",
        _UNIREP,
        "glocal.learn.backbones.unireplknet:UniRepLkNetN",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "unireplknet-t",
        _UNIREP,
        "glocal.learn.backbones.unireplknet:UniRepLkNetT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "unireplknet-s",
        _UNIREP,
        "glocal.learn.backbones.unireplknet:UniRepLkNetS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "spartan-tiny",
        _SPARTAN,
        "glocal.learn.backbones.spartan:SpartanTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "spartan",
        _SPARTAN,
        "glocal.learn.backbones.spartan:Spartan",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "ms-mlp-tiny",
        _MSMLP,
        "glocal.learn.backbones.ms_mlp:MsMlpTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "ms-mlp-t",
        _MSMLP,
        "glocal.learn.backbones.ms_mlp:MsMlpT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "ms-mlp-s",
        _MSMLP,
        "glocal.learn.backbones.ms_mlp:MsMlpS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "ms-mlp-b",
        _MSMLP,
        "glocal.learn.backbones.ms_mlp:MsMlpB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "uniformer-tiny",
        _UNIFORMER,
        "glocal.learn.backbones.uniformer:UniFormerTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "uniformer-s",
        _UNIFORMER,
        "glocal.learn.backbones.uniformer:UniFormerS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "uniformer-b",
        _UNIFORMER,
        "glocal.learn.backbones.uniformer:UniFormerB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "dinat-tiny",
        _DINAT,
        "glocal.learn.backbones.dinat:DiNatTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "dinat-mini",
        _DINAT,
        "glocal.learn.backbones.dinat:DiNatMini",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "dinat-t",
        _DINAT,
        "glocal.learn.backbones.dinat:DiNatT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "dinat-s",
        _DINAT,
        "glocal.learn.backbones.dinat:DiNatS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "dinat-b",
        _DINAT,
        "glocal.learn.backbones.dinat:DiNatB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cvt-tiny",
        _CVT,
        "glocal.learn.backbones.cvt:CvtTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "cvt-13",
        _CVT,
        "glocal.learn.backbones.cvt:Cvt13",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cvt-21",
        _CVT,
        "glocal.learn.backbones.cvt:Cvt21",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cswin-tiny",
        _CSWIN,
        "glocal.learn.backbones.cswin:CsWinTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "cswin-t",
        _CSWIN,
        "glocal.learn.backbones.cswin:CsWinT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cswin-s",
        _CSWIN,
        "glocal.learn.backbones.cswin:CsWinS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cswin-b",
        _CSWIN,
        "glocal.learn.backbones.cswin:CsWinB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "cswin-l",
        _CSWIN,
        "glocal.learn.backbones.cswin:CsWinL",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "efficientvmamba-tiny",
        _EFFVM,
        "glocal.learn.backbones.efficientvmamba:EfficientVMambaTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "efficientvmamba-t",
        _EFFVM,
        "glocal.learn.backbones.efficientvmamba:EfficientVMambaT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "efficientvmamba-s",
        _EFFVM,
        "glocal.learn.backbones.efficientvmamba:EfficientVMambaS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "efficientvmamba-b",
        _EFFVM,
        "glocal.learn.backbones.efficientvmamba:EfficientVMambaB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "msvmamba-tiny",
        _MSVM,
        "glocal.learn.backbones.msvmamba:MsVMambaTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "msvmamba-nano",
        _MSVM,
        "glocal.learn.backbones.msvmamba:MsVMambaNano",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "msvmamba-micro",
        _MSVM,
        "glocal.learn.backbones.msvmamba:MsVMambaMicro",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "msvmamba-t",
        _MSVM,
        "glocal.learn.backbones.msvmamba:MsVMambaT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "raftmlp-tiny",
        _RAFT,
        "glocal.learn.backbones.raft_mlp:RaftMlpTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "raftmlp-s",
        _RAFT,
        "glocal.learn.backbones.raft_mlp:RaftMlpS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "raftmlp-m",
        _RAFT,
        "glocal.learn.backbones.raft_mlp:RaftMlpM",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "raftmlp-l",
        _RAFT,
        "glocal.learn.backbones.raft_mlp:RaftMlpL",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "transnext-tiny",
        _TRANSNEXT,
        "glocal.learn.backbones.transnext:TransNextTiny",
        requires=_LEARN,
    ),
    Part(
        "backbone",
        "transnext-micro",
        _TRANSNEXT,
        "glocal.learn.backbones.transnext:TransNextMicro",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "transnext-t",
        _TRANSNEXT,
        "glocal.learn.backbones.transnext:TransNextT",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "transnext-s",
        _TRANSNEXT,
        "glocal.learn.backbones.transnext:TransNextS",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "transnext-b",
        _TRANSNEXT,
        "glocal.learn.backbones.transnext:TransNextB",
        requires=_LEARN,
        traits=("size",),
    ),
    Part(
        "backbone",
        "timm",
        "Wightman, PyTorch Image Models, 2019",
        "glocal.learn.backbones.timm_model:TimmBackbone",
        requires=_LEARN,
    ),
)
