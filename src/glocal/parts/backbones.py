"""The backbones: from an image to feature maps (`glocal.learn.contracts.Backbone`).

One with the trait ``size`` is another size of one before it; contract tests leave it out.
"""

from glocal.registry import Part

Named = tuple[str, str]
"""A name, and its class."""


def _of_paper(
    source: str, module: str, *first: Named, sizes: tuple[Named, ...] = ()
) -> tuple[Part, ...]:
    """The rows of one paper, whose classes are in one module of `glocal.learn.backbones`.

    Args:
        source: the paper.
        module: the module.
        first: what contract tests cover.
        sizes: the same in other sizes.
    """
    target = f"glocal.learn.backbones.{module}"
    return tuple(
        Part(
            "backbone",
            name,
            source,
            f"{target}:{made}",
            requires="glocal[learn]",
            traits=("size",) if (name, made) in sizes else (),
        )
        for name, made in (*first, *sizes)
    )


ROWS = (
    *_of_paper(
        "Tan and Le, EfficientNet: Rethinking Model Scaling for Convolutional Neural "
        "Networks, 2019; Liu, Higher accuracy on vision models with EfficientNet-Lite, 2020",
        "efficientnet_lite",
        ("efficientnet-lite0", "EfficientNetLite0"),
        ("efficientnet-lite1", "EfficientNetLite1"),
        ("efficientnet-lite2", "EfficientNetLite2"),
    ),
    *_of_paper(
        "Huang, Liu, van der Maaten and Weinberger, Densely Connected Convolutional Networks, 2017",
        "densenet",
        ("densenet121", "DenseNet121"),
        ("densenet-tiny", "DenseNetTiny"),
        sizes=(
            ("densenet169", "DenseNet169"),
            ("densenet201", "DenseNet201"),
        ),
    ),
    *_of_paper(
        "Lin, Chen and Yan, Network In Network, 2014",
        "nin",
        ("nin", "Nin"),
    ),
    *_of_paper(
        "Lu, Xie, Liu and Zhang, Bridging the Gap Between Vision Transformers and "
        "Convolutional Neural Networks on Small Datasets, 2022",
        "dhvt",
        ("dhvt-tiny", "DhvtTiny"),
        sizes=(
            ("dhvt-t", "DhvtT"),
            ("dhvt-s", "DhvtS"),
        ),
    ),
    *_of_paper(
        "Zhang et al., ResNeSt: Split-Attention Networks, 2022",
        "timm_families",
        ("resnest", "ResNeSt"),
    ),
    *_of_paper(
        "Yu, Wang, Shelhamer and Darrell, Deep Layer Aggregation, 2018",
        "timm_families",
        ("dla", "Dla"),
    ),
    *_of_paper(
        "Chen, Li, Xiao, Jin, Yan and Feng, Dual Path Networks, 2017",
        "timm_families",
        ("dpn", "DualPathNetwork"),
    ),
    *_of_paper(
        "Wang et al., Deep High-Resolution Representation Learning for Visual Recognition, 2020",
        "timm_families",
        ("hrnet", "HrNet"),
    ),
    *_of_paper(
        "Han, Yun, Heo and Yoo, Rethinking Channel Dimensions for Efficient Model Design, 2021",
        "timm_families",
        ("rexnet", "ReXNet"),
    ),
    *_of_paper(
        "Yu, Zhou, Yan and Wang, InceptionNeXt: When Inception Meets ConvNeXt, 2024",
        "timm_families",
        ("inceptionnext", "InceptionNeXt"),
    ),
    *_of_paper(
        "Hatamizadeh, Yin, Heinrich, Kautz and Molchanov, Global Context Vision Transformers, 2023",
        "timm_families",
        ("gc-vit", "GcVit"),
    ),
    *_of_paper(
        "Tu et al., MaxViT: Multi-Axis Vision Transformer, 2022",
        "timm_families",
        ("maxvit", "MaxVit"),
    ),
    *_of_paper(
        "d'Ascoli et al., ConViT: Improving Vision Transformers with Soft Convolutional "
        "Inductive Biases, 2021",
        "timm_families",
        ("convit", "ConVit"),
    ),
    *_of_paper(
        "Lee, Choi and Kim, EfficientViM: Efficient Vision Mamba with Hidden State Mixer "
        "based State Space Duality, 2025",
        "timm_families",
        ("efficientvim", "EfficientViM"),
    ),
    *_of_paper(
        "Zheng, iFormer: Integrating ConvNet and Transformer for Mobile Application, 2025",
        "timm_families",
        ("iformer-mobile", "IFormer"),
    ),
    *_of_paper(
        "Liang et al., CBNet: A Composite Backbone Network Architecture for Object Detection, 2022",
        "composite",
        ("cbnetv2", "CompositeBackbone"),
    ),
    *_of_paper(
        "Tang et al., DuoFormer: Leveraging Hierarchical Representations by Local and Global "
        "Attention Vision Transformer, 2024",
        "duoformer",
        ("duoformer", "DuoFormer"),
    ),
    *_of_paper(
        "Zhang, Li, Zhou, Liu, Qian and Ji, CAS-ViT: Convolutional Additive Self-attention "
        "Vision Transformers for Efficient Mobile Applications, 2024",
        "cas_vit",
        ("cas-vit-tiny", "CasVitTiny"),
        sizes=(
            ("cas-vit-xs", "CasVitXs"),
            ("cas-vit-s", "CasVitS"),
            ("cas-vit-m", "CasVitM"),
            ("cas-vit-t", "CasVitT"),
        ),
    ),
    *_of_paper(
        "Ding, Zhang, Ge, Zhao, Song, Yue and Shan, UniRepLKNet: A Universal Perception "
        "Large-Kernel ConvNet for Audio, Video, Point Cloud, Time-Series and Image "
        "Recognition, 2024",
        "unireplknet",
        ("unireplknet-tiny", "UniRepLkNetTiny"),
        sizes=(
            ("unireplknet-a", "UniRepLkNetA"),
            ("unireplknet-f", "UniRepLkNetF"),
            ("unireplknet-p", "UniRepLkNetP"),
            ("unireplknet-n", "UniRepLkNetN"),
            ("unireplknet-t", "UniRepLkNetT"),
            ("unireplknet-s", "UniRepLkNetS"),
        ),
    ),
    *_of_paper(
        "Pay, Baskaran, Loo, Wong and See, SpaRTAN: Spatial Reinforcement Token-based "
        "Aggregation Network for Visual Recognition, 2025",
        "spartan",
        ("spartan-tiny", "SpartanTiny"),
        sizes=(("spartan", "Spartan"),),
    ),
    *_of_paper(
        "Zheng, He, Chen and Zhou, Mixing and Shifting: Exploiting Global and Local "
        "Dependencies in Vision MLPs, 2022",
        "ms_mlp",
        ("ms-mlp-tiny", "MsMlpTiny"),
        sizes=(
            ("ms-mlp-t", "MsMlpT"),
            ("ms-mlp-s", "MsMlpS"),
            ("ms-mlp-b", "MsMlpB"),
        ),
    ),
    *_of_paper(
        "Li, Wang, Zhang, Gao, Song, Liu, Li and Qiao, UniFormer: Unifying Convolution and "
        "Self-attention for Visual Recognition, 2022",
        "uniformer",
        ("uniformer-tiny", "UniFormerTiny"),
        sizes=(
            ("uniformer-s", "UniFormerS"),
            ("uniformer-b", "UniFormerB"),
        ),
    ),
    *_of_paper(
        "Hassani and Shi, Dilated Neighborhood Attention Transformer, 2022",
        "dinat",
        ("dinat-tiny", "DiNatTiny"),
        sizes=(
            ("dinat-mini", "DiNatMini"),
            ("dinat-t", "DiNatT"),
            ("dinat-s", "DiNatS"),
            ("dinat-b", "DiNatB"),
        ),
    ),
    *_of_paper(
        "Wu, Xiao, Codella, Liu, Dai, Yuan and Zhang, CvT: Introducing Convolutions to Vision "
        "Transformers, 2021",
        "cvt",
        ("cvt-tiny", "CvtTiny"),
        sizes=(
            ("cvt-13", "Cvt13"),
            ("cvt-21", "Cvt21"),
        ),
    ),
    *_of_paper(
        "Dong, Bao, Chen, Zhang, Yu, Yuan, Chen and Guo, CSWin Transformer: A General Vision "
        "Transformer Backbone with Cross-Shaped Windows, 2022",
        "cswin",
        ("cswin-tiny", "CsWinTiny"),
        sizes=(
            ("cswin-t", "CsWinT"),
            ("cswin-s", "CsWinS"),
            ("cswin-b", "CsWinB"),
            ("cswin-l", "CsWinL"),
        ),
    ),
    *_of_paper(
        "Pei, Huang and Xu, EfficientVMamba: Atrous Selective Scan for Light Weight Visual "
        "Mamba, 2024",
        "efficientvmamba",
        ("efficientvmamba-tiny", "EfficientVMambaTiny"),
        sizes=(
            ("efficientvmamba-t", "EfficientVMambaT"),
            ("efficientvmamba-s", "EfficientVMambaS"),
            ("efficientvmamba-b", "EfficientVMambaB"),
        ),
    ),
    *_of_paper(
        "Shi, Dong and Xu, Multi-Scale VMamba: Hierarchy in Hierarchy Visual State Space "
        "Model, 2024",
        "msvmamba",
        ("msvmamba-tiny", "MsVMambaTiny"),
        sizes=(
            ("msvmamba-nano", "MsVMambaNano"),
            ("msvmamba-micro", "MsVMambaMicro"),
            ("msvmamba-t", "MsVMambaT"),
        ),
    ),
    *_of_paper(
        "Tatsunami and Taki, RaftMLP: How Much Can Be Done Without Attention and with Less "
        "Spatial Locality?, 2022",
        "raft_mlp",
        ("raftmlp-tiny", "RaftMlpTiny"),
        sizes=(
            ("raftmlp-s", "RaftMlpS"),
            ("raftmlp-m", "RaftMlpM"),
            ("raftmlp-l", "RaftMlpL"),
        ),
    ),
    *_of_paper(
        "Shi, TransNeXt: Robust Foveal Visual Perception for Vision Transformers, 2024",
        "transnext",
        ("transnext-tiny", "TransNextTiny"),
        sizes=(
            ("transnext-micro", "TransNextMicro"),
            ("transnext-t", "TransNextT"),
            ("transnext-s", "TransNextS"),
            ("transnext-b", "TransNextB"),
        ),
    ),
    *_of_paper(
        "Wang, Chen, Lin, Han and Ding, LSNet: See Large, Focus Small, 2025",
        "lsnet",
        ("lsnet-tiny", "LsNetTiny"),
        sizes=(
            ("lsnet-t", "LsNetT"),
            ("lsnet-s", "LsNetS"),
            ("lsnet-b", "LsNetB"),
        ),
    ),
    *_of_paper(
        "Si, Yu, Zhou, Zhou, Wang and Yan, Inception Transformer, 2022",
        "inception_transformer",
        ("inception-transformer-tiny", "InceptionTransformerTiny"),
        sizes=(
            ("inception-transformer-s", "InceptionTransformerS"),
            ("inception-transformer-b", "InceptionTransformerB"),
            ("inception-transformer-l", "InceptionTransformerL"),
        ),
    ),
    *_of_paper(
        "Huang, Zhou, Cao, He and Tan, Vision Transformer with Super Token Sampling, 2023",
        "svit",
        ("svit-tiny", "SViTTiny"),
        sizes=(
            ("svit-s", "SViTS"),
            ("svit-b", "SViTB"),
        ),
    ),
    *_of_paper(
        "Zhu, Wang and Lau, Revisiting the Integration of Convolution and Attention for "
        "Vision Backbone, 2024",
        "glmix",
        ("glnet-tiny", "GlNetTiny"),
        sizes=(
            ("glnet-stl", "GlNetStl"),
            ("glnet-4g", "GlNet4G"),
            ("glnet-9g", "GlNet9G"),
        ),
    ),
    *_of_paper(
        "Chu et al., DualToken-ViT: Position-aware Efficient Vision Transformer with Dual "
        "Token Fusion, 2023",
        "dualtoken_vit",
        ("dualtoken-vit-tiny", "DualTokenViTTiny"),
    ),
    *_of_paper(
        "Zhang, HyperZZW Operator Connects Slow-Fast Networks for Full Context Interaction, 2024",
        "terminator",
        ("terminator-tiny", "TerminatorTiny"),
        sizes=(("terminator", "Terminator"),),
    ),
    *_of_paper(
        "Chen and Li, FIT: Far-reaching Interleaved Transformers, 2023",
        "fit",
        ("fit-tiny", "FitTiny"),
        sizes=(("fit-large-images", "FitLargeImages"),),
    ),
    *_of_paper(
        "Zhang, Wang, Bian and Xiong, TiC: Exploring Vision Transformer in Convolution, 2023",
        "tic",
        ("tic-tiny", "TicTiny"),
    ),
    *_of_paper("Wightman, PyTorch Image Models, 2019", "timm_model", ("timm", "TimmBackbone")),
)
