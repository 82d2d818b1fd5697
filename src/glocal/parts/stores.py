"""Stores of vectors outside a gallery's folder (`glocal.gallery.stores.elsewhere.Elsewhere`)."""

from glocal.registry import Part

ROWS = (
    Part(
        "store",
        "milvus",
        "Wang, Yi, Guo and others, Milvus: A Purpose-Built Vector Data Management System, 2021",
        "glocal.cluster.milvus:Milvus",
        requires="glocal[cluster]",
        summary="a collection of a Milvus server",
    ),
)
