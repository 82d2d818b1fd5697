"""The detectors of local features: each opens one (`glocal.encoders.detectors.OpenDetector`)."""

from glocal.registry import Part

ROWS = (
    Part(
        "detector",
        "own",
        "Noh, Araujo, Sim, Weyand and Han, Large-Scale Image Retrieval with Attentive Deep Local "
        "Features, 2017",
        "glocal.encoders.local_features:open_own",
        summary="the model's own local features, from the pass that makes the vector",
    ),
    Part(
        "detector",
        "xfeat",
        "Potje, Cadar, Araujo, Martins and Nascimento, XFeat: Accelerated Features for Lightweight "
        "Image Matching, 2024",
        "glocal.encoders.xfeat:open_xfeat",
        summary="a small network of its own",
    ),
    Part(
        "detector",
        "sift",
        "Lowe, Distinctive Image Features from Scale-Invariant Keypoints, 2004",
        "glocal.encoders.sift:open_sift",
        requires="glocal[sift]",
        summary="keypoints at any scale, without a network",
    ),
)
