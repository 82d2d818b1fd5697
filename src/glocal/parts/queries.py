"""The queries: other ways to search than with an image alone (`glocal.query`).

One with the trait ``concepts`` is fitted to the vectors of images in the gallery's space and in
that of an image-text model; see `glocal.query.text_to_concept.TextToConcept`. One with the trait
``combines`` makes a query of the vectors of an image and of words, and one with ``matches`` is a
loss of the similarities between the images and the texts of a batch.
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
    Part(
        "query",
        "gda",
        "Wang, Liang, Sheng, He, Wang and Tan, A Hard-to-Beat Baseline for Training-free "
        "CLIP-based Adaptation, 2024",
        "glocal.query.gda:GaussianClasses",
        summary="classes from a few labelled images and their names, without training",
    ),
    Part(
        "query",
        "growing-classes",
        "Panos, Kobe, Olmeda Reino, Aljundi and Turner, First Session Adaptation: A Strong "
        "Replay-Free Baseline for Class-Incremental Learning, 2023",
        "glocal.query.growing:GrowingClasses",
        summary="classes that are added later, exactly, without the images of earlier ones",
    ),
    Part(
        "query",
        "combiner",
        "Baldrati, Bertini, Uricchio and Del Bimbo, Composed Image Retrieval using Contrastive "
        "Learning and Task-oriented CLIP-based Features, 2023",
        "glocal.learn.combiner:Combiner",
        requires="glocal[learn]",
        summary="an image and words that change it become one query of an image-text space",
        traits=("combines",),
    ),
    Part(
        "query",
        "dbl",
        "Diao, Zhang, Gao, Ruan and Lu, Deep Boosting Learning: A Brand-new Cooperative Approach "
        "for Image-Text Matching, 2024",
        "glocal.learn.boosting:DeepBoosting",
        requires="glocal[learn]",
        summary="trains an image-text pair to outdo another one, pair by pair",
        traits=("matches",),
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
        "find",
        "Zou, Li, Yang, Li, Li, Li, Wang, Lee and Gao, Interfacing Foundation Models' Embeddings, "
        "2024",
        "glocal.learn.interleaved:InterleavedInterface",
        requires="glocal[learn]",
        summary="things shown and said in one query find images, and masks of the things in them",
    ),
    Part(
        "query",
        "cope",
        "Bai, Li, Zhang, Zhang, Jiang, Huang and Jin, Cross-Domain Product Representation Learning "
        "for Rich-Content E-Commerce, 2023",
        "glocal.learn.products:CrossDomainProducts",
        requires="glocal[learn]",
        summary="a product's photo and text find its videos and streams in one space",
    ),
    Part(
        "query",
        "guided",
        "Nguyen, Taesiri, Kim and Nguyen, Allowing Humans to Interactively Guide Machines Where to "
        "Look Does Not Always Improve a Human-AI Team's Classification Accuracy, 2024",
        "glocal.explain.guided:GuidedRanking",
        summary="a ranking by corresponding cells, of which a person edits which may correspond",
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
