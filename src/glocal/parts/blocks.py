"""The blocks: layers that can be grafted into a backbone (`glocal.learn.contracts.Block`).

The trait is the role: what a block can stand in for.
"""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS = (
    Part(
        "block",
        "weighted-convolution",
        "Cammarasana and Patanè, Optimal Weighted Convolution for Classification and "
        "Denosing, 2025",
        "glocal.learn.blocks.weighted_convolution:WeightedConvolution",
        requires=_LEARN,
        summary="a fixed spatial density multiplies every kernel",
        traits=("conv",),
    ),
    Part(
        "block",
        "hyper-connections",
        "Zhu et al., Hyper-Connections, 2024",
        "glocal.learn.blocks.hyper_connections:HyperConnections",
        requires=_LEARN,
        summary="several residual streams with learned mixing",
        traits=("residual",),
    ),
    Part(
        "block",
        "laurel",
        "Menghani, Kumar and Kumar, LAuReL: Learned Augmented Residual Layer, 2024",
        "glocal.learn.blocks.laurel:Laurel",
        requires=_LEARN,
        summary="a learned residual weight and a low-rank skip",
        traits=("residual",),
    ),
    Part(
        "block",
        "sgconv",
        "Li, Cai, Zhang, Chen and Dey, What Makes Convolutional Models Great on Long "
        "Sequence Modeling?, 2022",
        "glocal.learn.blocks.sgconv:SgConv",
        requires=_LEARN,
        summary="a global convolution with few parameters",
        traits=("mixer",),
    ),
    Part(
        "block",
        "affnet",
        "Huang, Zhang, Lan, Zha, Lu and Guo, Adaptive Frequency Filters As Efficient "
        "Global Token Mixers, 2023",
        "glocal.learn.blocks.affnet:AdaptiveFrequencyFilter",
        requires=_LEARN,
        summary="filters in the frequency domain that depend on the features",
        traits=("mixer",),
    ),
    Part(
        "block",
        "fna",
        "Hassani, Hwu and Shi, Faster Neighborhood Attention: Reducing the O(n^2) Cost of"
        " Self Attention at the Threadblock Level, 2024",
        "glocal.learn.blocks.fna:NeighbourhoodAttention",
        requires=_LEARN,
        summary="attention to a window, without storing the attention",
        traits=("mixer",),
    ),
    Part(
        "block",
        "lr-net",
        "Hu, Zhang, Xie and Lin, Local Relation Networks for Image Recognition, 2019",
        "glocal.learn.blocks.lr_net:LocalRelation",
        requires=_LEARN,
        summary="weights of aggregation from pairs of cells",
        traits=("conv",),
    ),
    Part(
        "block",
        "ghost",
        "Han, Wang, Tian, Guo, Xu and Xu, GhostNet: More Features from Cheap Operations, 2020",
        "glocal.learn.blocks.ghost:Ghost",
        requires=_LEARN,
        summary="cheap operations make half of the channels",
        traits=("conv",),
    ),
    Part(
        "block",
        "one-way",
        "Boukraichi, Akkari, Casenave and Ryckelynck, A priori compression of convolutional neural "
        "networks for wave simulators, 2023",
        "glocal.learn.blocks.one_way:OneWay",
        requires=_LEARN,
        summary="kernels are products of one-way filters",
        traits=("conv",),
    ),
    Part(
        "block",
        "e2gc",
        "Jha, Saini, Nag and Mittal, E2GC: Energy-efficient Group Convolution in Deep "
        "Neural Networks, 2020",
        "glocal.learn.blocks.e2gc:EnergyEfficientGroups",
        requires=_LEARN,
        summary="groups of constant size",
        traits=("conv",),
    ),
    Part(
        "block",
        "res2net",
        "Gao, Cheng, Zhao, Zhang, Yang and Torr, Res2Net: A New Multi-scale Backbone "
        "Architecture, 2019",
        "glocal.learn.blocks.res2net:Res2Net",
        requires=_LEARN,
        summary="a hierarchy of smaller convolutions",
        traits=("conv",),
    ),
    Part(
        "block",
        "ela",
        "Xu and Wan, ELA: Efficient Local Attention for Deep Convolutional Neural Networks, 2024",
        "glocal.learn.blocks.ela:EfficientLocalAttention",
        requires=_LEARN,
        summary="gates for rows and columns",
        traits=("gate",),
    ),
    Part(
        "block",
        "triplet-attention",
        "Misra, Nalamada, Arasanipalai and Hou, Rotate to Attend: Convolutional Triplet "
        "Attention Module, 2021",
        "glocal.learn.blocks.triplet_attention:TripletAttention",
        requires=_LEARN,
        summary="three gates, one for each pair of dimensions",
        traits=("gate",),
    ),
    Part(
        "block",
        "dcls",
        "Khalfaoui-Hassani, Pellegrini and Masquelier, Dilated convolution with learnable"
        " spacings, 2023",
        "glocal.learn.blocks.dcls:LearnableSpacings",
        requires=_LEARN,
        summary="the positions of a kernel's elements are learned",
        traits=("mixer",),
    ),
    Part(
        "block",
        "adapool",
        "Stergiou and Poppe, AdaPool: Exponential Adaptive Pooling for Information-"
        "Retaining Downsampling, 2022",
        "glocal.learn.blocks.adapool:AdaPool",
        requires=_LEARN,
        summary="a learned blend of two exponential kernels",
        traits=("pool",),
    ),
    Part(
        "block",
        "ulsam",
        "Saini, Jha, Nag and Mittal, ULSAM: Ultra-Lightweight Subspace Attention Module "
        "for Compact Convolutional Neural Networks, 2020",
        "glocal.learn.blocks.ulsam:SubspaceAttention",
        requires=_LEARN,
        summary="an attention map for each group of channels",
        traits=("mixer",),
    ),
    Part(
        "block",
        "s-kan",
        "Yang, Zhang and Luo, Activation Space Selectable Kolmogorov-Arnold Networks, 2024",
        "glocal.learn.blocks.skan:SelectableKan",
        requires=_LEARN,
        summary="gates choose among kinds of activation",
        traits=("conv",),
    ),
    Part(
        "block",
        "mhs-vm",
        "Ji, MHS-VM: Multi-Head Scanning in Parallel Subspaces for Vision Mamba, 2024",
        "glocal.learn.blocks.mhs_vm:MultiHeadScan",
        requires=_LEARN,
        summary="several scan routes in separate subspaces",
        traits=("mixer",),
    ),
    Part(
        "block",
        "lie-group",
        "Mironenco and Forré, Lie Group Decompositions for Equivariant Neural Networks, 2023",
        "glocal.learn.blocks.lie_group:LieGroupConvolution",
        requires=_LEARN,
        summary="filters transformed by sampled elements of GL+(2)",
        traits=("conv",),
    ),
    Part(
        "block",
        "snnk",
        "Sehanobish et al., Scalable Neural Network Kernels, 2023",
        "glocal.learn.blocks.snnk:ScalableKernel",
        requires=_LEARN,
        summary="random features replace a feed-forward layer",
        traits=("mlp",),
    ),
    Part(
        "block",
        "dcal",
        "Zhu, Ke, Li, Liu, Tian and Shan, Dual Cross-Attention Learning for Fine-Grained Visual "
        "Categorization and Object Re-Identification, 2022",
        "glocal.learn.blocks.dcal:DualCrossAttention",
        requires=_LEARN,
        summary="salient cells attend again, a second image distracts in training",
        traits=("mixer",),
    ),
)
