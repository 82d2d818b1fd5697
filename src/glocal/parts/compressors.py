"""The compressors: they make stored vectors or networks smaller.

One with the trait ``vectors`` is a `glocal.compress.VectorCompressor`. The others are for networks,
`glocal.learn.compress.Compressor`: with the trait ``weights`` they set single weights to zero,
which saves bytes where zeros are packed and no time; with ``channels`` they remove channels, and
the network becomes smaller and faster, and those with ``files`` do so to finished model files, by
`glocal compress`; with ``by-image`` filters are left out for one image at a
time, in torch only. One with ``data-free`` looks at weights alone. One with ``features`` makes what
a device sends to a server smaller, and is a part of a network itself,
`glocal.learn.compress.entropic_student.EntropicStudent`.
"""

from glocal.registry import Part

_NETWORKS = "glocal.learn.compress"

ROWS = (
    Part(
        "compressor",
        "inf-fs",
        "Roffo, Melzi, Castellani, Vinciarelli and Cristani, Infinite Feature Selection: A "
        "Graph-based Feature Filtering Approach, 2020",
        "glocal.compress.inf_fs:InfiniteFeatureSelection",
        summary="dimensions that spread much and say different things",
        traits=("vectors",),
    ),
    Part(
        "compressor",
        "variance",
        "Jolliffe, Discarding Variables in a Principal Component Analysis, 1972",
        "glocal.compress.spread:VarianceOrder",
        summary="the dimensions with the largest variance",
        traits=("vectors",),
    ),
    Part(
        "compressor",
        "pca",
        "Pearson, On Lines and Planes of Closest Fit to Systems of Points in Space, 1901",
        "glocal.compress.spread:PrincipalComponents",
        summary="the directions with the largest variance",
        traits=("vectors",),
    ),
    Part(
        "compressor",
        "global-mp",
        "Gupta, Camci, Keneta, Vaidyanathan, Kanodia, Foo, Wu and Lin, Is Complexity Required for "
        "Neural Network Pruning? A Case Study on Global Magnitude Pruning, 2022",
        f"{_NETWORKS}.global_magnitude:GlobalMagnitude",
        requires="glocal[learn]",
        summary="the smallest weights become zero, some of each layer stay",
        traits=("weights", "data-free"),
    ),
    Part(
        "compressor",
        "ecoflap",
        "Sung, Yoon and Bansal, ECoFLaP: Efficient Coarse-to-Fine Layer-Wise Pruning for "
        "Vision-Language Models, 2024",
        f"{_NETWORKS}.ecoflap:CoarseToFine",
        requires="glocal[learn]",
        summary="layers on which the loss hangs stay denser",
        traits=("weights",),
    ),
    Part(
        "compressor",
        "dimap",
        "He and Zhou, Data-independent Module-aware Pruning for Hierarchical Vision Transformers, "
        "2024",
        f"{_NETWORKS}.dimap:DataIndependentModuleAware",
        requires="glocal[learn]",
        summary="weights are compared within the modules of a transformer",
        traits=("weights", "data-free"),
    ),
    Part(
        "compressor",
        "pagcp",
        "Ye, Zhang, Chen, Fan and Wang, Performance-aware Approximation of Global Channel Pruning "
        "for Multitask CNNs, 2023",
        f"{_NETWORKS}.pagcp:PerformanceAwareChannels",
        requires="glocal[learn]",
        summary="channels go layer by layer, as far as no task loses much",
        traits=("channels", "files"),
    ),
    Part(
        "compressor",
        "reconstruction",
        "He, Zhang and Sun, Channel Pruning for Accelerating Very Deep Neural Networks, 2017",
        f"{_NETWORKS}.reconstruction:Reconstruction",
        requires="glocal[learn]",
        summary="channels inside blocks go, the others make up for them by least squares",
        traits=("channels", "files"),
    ),
    Part(
        "compressor",
        "tas",
        "Dong and Yang, Network Pruning via Transformable Architecture Search, 2019",
        f"{_NETWORKS}.tas:TransformableArchitecture",
        requires="glocal[learn]",
        summary="widths and depths are learned by descent, for a given number of operations",
        traits=("channels",),
    ),
    Part(
        "compressor",
        "ftwt",
        "Elkerdawy, Elhoushi, Zhang and Ray, Fire Together Wire Together: A Dynamic Pruning "
        "Approach with Self-Supervised Mask Prediction, 2022",
        f"{_NETWORKS}.ftwt:FireTogether",
        requires="glocal[learn]",
        summary="each image runs the filters that are predicted to fire",
        traits=("by-image",),
    ),
    Part(
        "compressor",
        "entropic-student",
        "Matsubara, Yang, Levorato and Mandt, Supervised Compression for Resource-Constrained Edge "
        "Computing Systems, 2022",
        f"{_NETWORKS}.entropic_student:EntropicStudent",
        requires="glocal[learn]",
        summary="a device sends a few coded bytes of features, a server continues the network",
        traits=("features",),
    ),
)
