"""The compressors: they make stored vectors or networks smaller.

One with the trait ``vectors`` is a `glocal.compress.VectorCompressor`. The others are for networks,
`glocal.learn.compress.Compressor`: with the trait ``weights`` they set single weights to zero,
which saves bytes where zeros are packed and no time; with ``channels`` they remove channels, and
the network becomes smaller and faster. One with ``data-free`` looks at weights alone.
"""

from glocal.registry import Part

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
)
