"""The re-rankings: new scores for a query's best candidates (`glocal.ranking.reranking`).

One with the trait ``local-features`` is a `glocal.ranking.Compare`; the others are a
`glocal.ranking.Rerank`, which sees vectors only.
"""

from glocal.registry import Part

_RANKING = "glocal.ranking"

ROWS = (
    Part(
        "reranker",
        "aqe",
        "Chum, Philbin, Sivic, Isard and Zisserman, Total Recall: Automatic Query Expansion with a "
        "Generative Feature Model for Object Retrieval, 2007",
        f"{_RANKING}.average_expansion:average_query_expansion",
        summary="average query expansion",
    ),
    Part(
        "reranker",
        "alpha-qe",
        "Radenović, Tolias and Chum, Fine-tuning CNN Image Retrieval with No Human Annotation, "
        "2019",
        f"{_RANKING}.alpha_expansion:alpha_query_expansion",
        summary="query expansion weighted by similarity",
    ),
    Part(
        "reranker",
        "superglobal",
        "Shao, Chen, Karpur, Cui, Araujo and Cao, Global Features are All You Need for Image "
        "Retrieval and Reranking, 2023",
        f"{_RANKING}.superglobal:superglobal",
        summary="query and candidates refined by their neighbours",
    ),
    Part(
        "reranker",
        "k-reciprocal",
        "Zhong, Zheng, Cao and Li, Re-ranking Person Re-identification with k-reciprocal Encoding, "
        "2017",
        f"{_RANKING}.k_reciprocal:k_reciprocal",
        summary="overlap of mutual neighbours",
    ),
    Part(
        "reranker",
        "diffusion",
        "Iscen, Tolias, Avrithis, Furon and Chum, Efficient Diffusion on Region Manifolds, 2017",
        f"{_RANKING}.diffusion:diffusion",
        summary="similarity that flows along a graph of neighbours",
    ),
    Part(
        "reranker",
        "b-attention",
        "Wang, Zhang, Lin, Wang, Sun and Jin, Robust Graph Structure Learning via Multiple "
        "Statistical Tests, 2022",
        f"{_RANKING}.b_attention:b_attention",
        summary="agreement of two images' similarities to their neighbours",
    ),
    Part(
        "reranker",
        "dba",
        "Turcot and Lowe, Better Matching with Fewer Features, 2009",
        f"{_RANKING}.reranking:augmented_candidates",
        summary="database augmentation of the candidates",
    ),
    Part(
        "reranker",
        "invgc",
        "Jian and Wang, InvGC: Robust Cross-Modal Retrieval by Inverse Graph Convolution, 2023",
        f"{_RANKING}.reranking:spread_candidates",
        summary="inverse graph convolution of the candidates",
    ),
    Part(
        "reranker",
        "mutual",
        "Lu, Zhang, Lan, Dong, Wang and Yuan, Towards Seamless Adaptation of Pre-trained Models "
        "for Visual Place Recognition, 2024",
        f"{_RANKING}.reranking:mutual",
        summary="mutual nearest neighbours of local features",
        traits=("local-features",),
    ),
    Part(
        "reranker",
        "maxsim",
        "Khattab and Zaharia, ColBERT: Efficient and Effective Passage Search via Contextualized "
        "Late Interaction over BERT, 2020",
        f"{_RANKING}.reranking:maxsim",
        summary="best similarity of each local feature of the query",
        traits=("local-features",),
    ),
)
