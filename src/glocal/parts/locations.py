"""What makes queries of places: location encoders (`glocal.learn.locations`) and their trainings.

One with the trait ``location`` is made with the length of its vectors and takes latitudes and
longitudes to vectors; with the trait ``sphere`` too, it has no seam at the date line and the poles.
"""

from glocal.registry import Part

_LOCATIONS = "glocal.learn.locations"

ROWS = (
    Part(
        "query",
        "harmonics",
        "Rußwurm, Klemmer, Rolf, Zbinden and Tuia, Geographic Location Encoding with Spherical "
        "Harmonics and Sinusoidal Representation Networks, 2024",
        f"{_LOCATIONS}.harmonics:HarmonicEncoder",
        requires="glocal[learn]",
        summary="spherical harmonics and a network of sines",
        traits=("location", "sphere"),
    ),
    Part(
        "query",
        "sine-cosine",
        "Mai, Janowicz, Yan, Zhu, Cai and Lao, Multi-Scale Representation Learning for Spatial "
        "Feature Distributions using Grid Cells, 2020",
        f"{_LOCATIONS}.sine_cosine:SineCosineEncoder",
        requires="glocal[learn]",
        summary="sines and cosines of latitude and longitude",
        traits=("location",),
    ),
    Part(
        "query",
        "fourier",
        "Vivanco Cepeda, Nayak and Shah, GeoCLIP: Clip-Inspired Alignment between Locations and "
        "Images for Effective Worldwide Geo-localization, 2023",
        f"{_LOCATIONS}.fourier:FourierEncoder",
        requires="glocal[learn]",
        summary="random Fourier features at a hierarchy of scales",
        traits=("location",),
    ),
    Part(
        "query",
        "geoclip",
        "Vivanco Cepeda, Nayak and Shah, GeoCLIP: Clip-Inspired Alignment between Locations and "
        "Images for Effective Worldwide Geo-localization, 2023",
        f"{_LOCATIONS}.geoclip:GeoClip",
        requires="glocal[learn]",
        summary="an image retrieves positions of an encoded gallery",
    ),
    Part(
        "query",
        "g3",
        "Jia, Liu, Fu, Yang, Gao, Guo and Zhao, G3: An Effective and Adaptive Framework for "
        "Worldwide Geolocalization Using Large Multi-Modality Models, 2024",
        f"{_LOCATIONS}.g3:G3",
        requires="glocal[learn]",
        summary="retrieved and supplied positions are verified",
    ),
    Part(
        "query",
        "embedding-table",
        "Czerkawski, Kluczek and Bojanowski, Global and Dense Embeddings of Earth: Major TOM "
        "Floating in the Latent Space, 2024",
        "glocal.gallery.embedding_table:EmbeddingTable",
        requires="glocal[tables]",
        summary="tiles with footprints in a Parquet file, searched by an example",
    ),
)
