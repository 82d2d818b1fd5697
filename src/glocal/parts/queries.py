"""The queries: other ways to search than with an image alone (`glocal.query`).

One with the trait ``concepts`` is fitted to the vectors of images in the gallery's space and in
that of an image-text model; see `glocal.query.text_to_concept.TextToConcept`.
"""

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
        "text-to-concept",
        "Moayeri, Rezaei, Sanjabi and Feizi, Text-To-Concept (and Back) via Cross-Model Alignment, "
        "2023",
        "glocal.query.text_to_concept:TextToConcept",
        summary="texts search vectors of any model, by a linear map to an image-text model",
        traits=("concepts",),
    ),
)
