"""The analyses: measured findings about a model or a gallery (`glocal.analyse`).

Each takes vectors and returns a record of numbers; its tests plant what it has to find.
"""

from glocal.registry import Part

ROWS = (
    Part(
        "analysis",
        "graph-recall",
        "Elliott and Clark, The Impacts of Data, Ordering, and Intrinsic Dimensionality on Recall "
        "in Hierarchical Navigable Small Worlds, 2024",
        "glocal.analyse.graph_recall:study_graph",
        summary="recall of an HNSW graph against exact search, by order of insertion",
    ),
    Part(
        "analysis",
        "intrinsic-dimension",
        "Amsaleg et al., Estimating Local Intrinsic Dimensionality, 2015",
        "glocal.analyse.intrinsic_dimension:local_intrinsic_dimensions",
        summary="how many directions the neighbourhood of each vector has",
    ),
    Part(
        "analysis",
        "projection",
        "Xue, Gan, Ni, Joshi and Mirzasoleiman, Investigating the Benefits of Projection Head for "
        "Representation Learning, 2024",
        "glocal.analyse.projection:study_projection",
        summary="nearest-neighbour accuracy before and after a projection head",
    ),
    Part(
        "analysis",
        "neural-collapse",
        "Dang, Tran, Osher, Tran-The, Ho and Nguyen, Neural Collapse in Deep Linear Networks: From "
        "Balanced to Imbalanced Data, 2023",
        "glocal.analyse.neural_collapse:study_collapse",
        summary="how far the vectors of a class have become one, and how class means lie",
    ),
    Part(
        "analysis",
        "boundary",
        "Peng, Gui, Gui and Wu, A Robust and Efficient Boundary Point Detection Method by "
        "Measuring Local Direction Dispersion, 2023",
        "glocal.analyse.boundary:direction_dispersion",
        summary="which vectors lie at the border of their cluster",
    ),
    Part(
        "analysis",
        "shared-units",
        "Li, Yosinski, Clune, Lipson and Hopcroft, Convergent Learning: Do Different Neural "
        "Networks Learn the Same Representations?, 2016",
        "glocal.analyse.convergent:study_units",
        requires="glocal[demo]",
        summary="which units of two models are the same, and which are mixtures of others",
    ),
    Part(
        "analysis",
        "connectivity",
        "Singh, Adilova, Kamp, Fischer, Schölkopf and Hofmann, Landscaping Linear Mode "
        "Connectivity, 2024",
        "glocal.learn.connectivity:study_line",
        requires="glocal[learn]",
        summary="the barrier of the loss on the line between two networks, overall and by layer",
    ),
    Part(
        "analysis",
        "layers",
        "Skean, Arefin, Zhao, Patel, Naghiyev, LeCun and Shwartz-Ziv, Layer by Layer: Uncovering "
        "Hidden Representations in Language Models, 2025",
        "glocal.analyse.layers:study_layers",
        summary="entropy, curvature and invariance of each layer, and which to search with",
    ),
    Part(
        "analysis",
        "concept-bank",
        "Zhang, Madumal, Miller, Ehinger and Rubinstein, Invertible Concept-based Explanations for "
        "CNN Models with Non-negative Concept Activation Vectors, 2021",
        "glocal.explain.concept_bank:find_concepts",
        summary="the concepts that images are made of, with example patches",
    ),
    Part(
        "analysis",
        "cues",
        "Scimeca, Oh, Chun, Poli and Yun, Which Shortcut Cues Will DNNs Choose? A Study from the "
        "Parameter-Space Perspective, 2022",
        "glocal.analyse.cues:study_cues",
        summary="which of several equally good cues, such as colour or shape, a model goes by",
    ),
    Part(
        "analysis",
        "local-rank",
        "Patel and Shwartz-Ziv, Learning to Compress: Local Rank and Information Compression in "
        "Deep Neural Networks, 2024",
        "glocal.learn.local_rank:study_local_rank",
        requires="glocal[learn]",
        summary="in how many directions each layer's output changes when an image does",
    ),
    Part(
        "analysis",
        "filters",
        "Gavrikov and Keuper, CNN Filter DB: An Empirical Investigation of Trained Convolutional "
        "Filters, 2022",
        "glocal.analyse.filters:study_filters",
        summary="principal shapes of 3x3 kernels, and which kernels do nothing or are random",
    ),
    Part(
        "analysis",
        "mixers",
        "Hu et al., Demystify Transformers & Convolutions in Modern Image Deep Networks, 2022",
        "glocal.learn.mixers:study_mixers",
        requires="glocal[learn]",
        summary="accuracy, receptive field and invariance of token mixers in one network",
    ),
)
