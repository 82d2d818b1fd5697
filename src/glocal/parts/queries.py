"""The queries: other ways to search an index than with an image alone (`glocal.query`)."""

from glocal.registry import Part

ROWS = (
    Part(
        "query",
        "raid",
        "Guerrero, Mitra and Wonka, RAID: A Relation-Augmented Image Descriptor, 2016",
        "glocal.query.raid:Raid",
        summary="how two areas of an image stand to each other",
    ),
)
