"""The gallery transforms: changes of all vectors of a gallery, made once, before any query.

They are a kind of their own and no re-rankings: a transform sees the whole gallery and no query
(`glocal.ranking.Transform`), and what it returns replaces stored vectors. Re-rankings of the same
names apply them to a query's candidates alone.
"""

from glocal.registry import Part

ROWS = (
    Part(
        "transform",
        "dba",
        "Turcot and Lowe, Better Matching with Fewer Features, 2009",
        "glocal.ranking.database_augmentation:augment_database",
        summary="each vector joined by its nearest neighbours",
    ),
    Part(
        "transform",
        "invgc",
        "Jian and Wang, InvGC: Robust Cross-Modal Retrieval by Inverse Graph Convolution, 2023",
        "glocal.ranking.inverse_convolution:spread_apart",
        summary="each vector pushed away from its nearest neighbours",
    ),
)
