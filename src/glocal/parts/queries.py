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
    Part(
        "query",
        "discofos",
        "Zhang, Sui and Niu, Foreground Object Search by Distilling Composite Image Feature, 2023",
        "glocal.learn.foregrounds:ForegroundSearch",
        requires="glocal[learn]",
        summary="foregrounds that fit into a box of a background",
    ),
    Part(
        "query",
        "freeview",
        "Sain, Chowdhury, Koley, Bhunia and Song, Freeview Sketching: View-Aware Fine-Grained "
        "Sketch-Based Image Retrieval, 2024",
        "glocal.query.freeview:FreeviewSketch",
        summary="sketches find their photo, or the thing from any view",
    ),
)
