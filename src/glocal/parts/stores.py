"""What lies outside a gallery's folder: stores of vectors
(`glocal.gallery.stores.elsewhere.Elsewhere`) and the tables of a catalogue
(`glocal.gallery.database.Engine`).
"""

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
    Part(
        "catalogue",
        "postgres",
        "Stonebraker and Rowe, The Design of POSTGRES, 1986",
        "glocal.cluster.postgres:Postgres",
        requires="glocal[cluster]",
        summary="a schema of a PostgreSQL server",
    ),
)
