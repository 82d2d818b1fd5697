"""The objectives: what a training minimises (`glocal.learn.contracts.Objective`)."""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS = (
    Part(
        "objective",
        "arcface",
        "Deng, Guo, Xue and Zafeiriou, ArcFace: Additive Angular Margin Loss for Deep Face "
        "Recognition, 2019",
        "glocal.learn.objectives.arcface:ArcFace",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "cosface",
        "Wang et al., CosFace: Large Margin Cosine Loss for Deep Face Recognition, 2018",
        "glocal.learn.objectives.cosface:CosFace",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "softmax",
        "Zhai and Wu, Classification is a Strong Baseline for Deep Metric Learning, 2019",
        "glocal.learn.objectives.softmax:NormalisedSoftmax",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "triplet",
        "Schroff, Kalenichenko and Philbin, FaceNet: A Unified Embedding for Face Recognition "
        "and Clustering, 2015",
        "glocal.learn.objectives.triplet:Triplet",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "contrastive",
        "Hadsell, Chopra and LeCun, Dimensionality Reduction by Learning an Invariant Mapping, "
        "2006",
        "glocal.learn.objectives.contrastive:Contrastive",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "supcon",
        "Khosla, Teterwak, Wang, Sarna, Tian, Isola, Maschinot, Liu and Krishnan, Supervised "
        "Contrastive Learning, 2020",
        "glocal.learn.objectives.supervised_contrastive:SupervisedContrastive",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "proxy-anchor",
        "Kim, Kim, Cho and Kwak, Proxy Anchor Loss for Deep Metric Learning, 2020",
        "glocal.learn.objectives.proxy_anchor:ProxyAnchor",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "adaptive",
        "Zhu, Gao, Ke, Qiao and Sun, Coarse-to-Fine: Learning Compact Discriminative "
        "Representation for Single-Stage Image Retrieval, 2023",
        "glocal.learn.objectives.adaptive:AdaptiveSoftmax",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "instance",
        "Pizzi, Roy, Ravindra, Goyal and Douze, A Self-Supervised Descriptor for Image Copy "
        "Detection, 2022",
        "glocal.learn.objectives.instance:InstanceDiscrimination",
        requires=_LEARN,
    ),
    Part(
        "objective",
        "grassmann",
        "Wang et al., Get the Best of Both Worlds: Improving Accuracy and Transferability by "
        "Grassmann Class Representation, 2023",
        "glocal.learn.objectives.grassmann:Grassmann",
        requires=_LEARN,
        traits=("subspaces",),
    ),
    Part(
        "objective",
        "cores",
        "Biondi, Pernici, Bruni and Del Bimbo, CoReS: Compatible Representations via Stationarity, "
        "2023",
        "glocal.learn.objectives.fixed_polytope:FixedPolytope",
        requires=_LEARN,
        summary="classes at fixed vertices of a polytope, the same in every training",
        traits=("stationary",),
    ),
)
