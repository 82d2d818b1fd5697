"""The heads: from feature maps to one vector (`glocal.learn.contracts.Head`)."""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS = (
    Part(
        "head",
        "average",
        "Babenko and Lempitsky, Aggregating Deep Convolutional Features for Image Retrieval, 2015",
        "glocal.learn.heads.average:Average",
        requires=_LEARN,
    ),
    Part(
        "head",
        "max",
        "Razavian, Sullivan, Carlsson and Maki, Visual Instance Retrieval with Deep "
        "Convolutional Networks, 2016",
        "glocal.learn.heads.maximum:Maximum",
        requires=_LEARN,
    ),
    Part(
        "head",
        "rmac",
        "Tolias, Sicre and Jégou, Particular Object Retrieval with Integral Max-Pooling of CNN "
        "Activations, 2016",
        "glocal.learn.heads.rmac:Rmac",
        requires=_LEARN,
    ),
    Part(
        "head",
        "gem",
        "Radenović, Tolias and Chum, Fine-tuning CNN Image Retrieval with No Human Annotation, "
        "2019",
        "glocal.learn.heads.gem:Gem",
        requires=_LEARN,
    ),
    Part(
        "head",
        "superglobal",
        "Shao, Chen, Karpur, Cui, Araujo and Cao, Global Features are All You Need for Image "
        "Retrieval and Reranking, 2023",
        "glocal.learn.heads.superglobal:SuperGlobal",
        requires=_LEARN,
    ),
    Part(
        "head",
        "dolg",
        "Yang et al., DOLG: Single-Stage Image Retrieval with Deep Orthogonal Fusion of Local "
        "and Global Features, 2021",
        "glocal.learn.heads.dolg:Dolg",
        requires=_LEARN,
    ),
    Part(
        "head",
        "delf",
        "Noh, Araujo, Sim, Weyand and Han, Large-Scale Image Retrieval with Attentive Deep "
        "Local Features, 2017",
        "glocal.learn.heads.delf:Delf",
        requires=_LEARN,
    ),
    Part(
        "head",
        "delg",
        "Cao, Araujo and Sim, Unifying Deep Local and Global Features for Image Search, 2020",
        "glocal.learn.heads.delg:Delg",
        requires=_LEARN,
    ),
    Part(
        "head",
        "selavpr",
        "Lu, Zhang, Lan, Dong, Wang and Yuan, Towards Seamless Adaptation of Pre-trained Models "
        "for Visual Place Recognition, 2024",
        "glocal.learn.heads.selavpr:SelaVpr",
        requires=_LEARN,
        summary="adapters on a frozen backbone, for places",
    ),
    Part(
        "head",
        "cfcd",
        "Zhu, Gao, Ke, Qiao and Sun, Coarse-to-Fine: Learning Compact Discriminative "
        "Representation for Single-Stage Image Retrieval, 2023",
        "glocal.learn.heads.cfcd:Cfcd",
        requires=_LEARN,
    ),
    Part(
        "head",
        "moment-probing",
        "Gao et al., Tuning Pre-trained Model via Moment Probing, 2023",
        "glocal.learn.heads.moment_probing:MomentProbing",
        requires=_LEARN,
    ),
    Part(
        "head",
        "glsim",
        "Rios, Hu and Lai, Global-Local Similarity for Efficient Fine-Grained Image Recognition "
        "with Vision Transformers, 2024",
        "glocal.learn.heads.glsim:GlSim",
        requires=_LEARN,
    ),
    Part(
        "head",
        "varifocal",
        "Qin et al., Varifocal-Net: A Chromosome Classification Approach using Deep Convolutional "
        "Networks, 2019",
        "glocal.learn.heads.varifocal:Varifocal",
        requires=_LEARN,
    ),
    Part(
        "head",
        "medusa",
        "Spencer, Bowden and Hadfield, Medusa: Universal Feature Learning via Attentional "
        "Multitasking, 2022",
        "glocal.learn.heads.medusa:Medusa",
        requires=_LEARN,
    ),
    Part(
        "head",
        "projection",
        "Chen, Kornblith, Norouzi and Hinton, A Simple Framework for Contrastive Learning of "
        "Visual Representations, 2020",
        "glocal.learn.heads.projected:ProjectionHead",
        requires=_LEARN,
    ),
    Part(
        "head",
        "fixed-reweighting",
        "Xue, Gan, Ni, Joshi and Mirzasoleiman, Investigating the Benefits of Projection Head for "
        "Representation Learning, 2024",
        "glocal.learn.heads.projected:FixedReweighting",
        requires=_LEARN,
    ),
    Part(
        "head",
        "conditional-cross-attention",
        "Song, Yun, Lim, Han, Lee and Kim, Conditional Cross Attention Network for Multi-Space "
        "Embedding without Entanglement in Only a SINGLE Network, 2023",
        "glocal.learn.heads.conditional_cross_attention:ConditionalCrossAttention",
        requires=_LEARN,
    ),
)
