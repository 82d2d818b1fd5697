"""The recipes: what a step of a training does (`glocal.learn.recipes.recipe.Recipe`)."""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS = (
    Part(
        "recipe",
        "labels-and-views",
        "Cao, Araujo and Sim, Unifying Deep Local and Global Features for Image Search, 2020; "
        "Pizzi et al., A Self-Supervised Descriptor for Image Copy Detection, 2022",
        "glocal.learn.recipes.labels_and_views:LabelsAndViews",
        requires=_LEARN,
        summary="an objective on labelled images, another on views of any images",
    ),
    Part(
        "recipe",
        "d-simplex",
        "Biondi, Pernici, Ricci and Del Bimbo, Stationary Representations: Optimally Approximating "
        "Compatibility and Implications for Improved Model Replacements, 2024",
        "glocal.learn.recipes.stationary:Stationary",
        requires=_LEARN,
        summary="ties a fine-tuned model to the old one by contrast; use with objective cores",
        traits=("compatible",),
    ),
    Part(
        "recipe",
        "cl2r",
        "Biondi, Pernici, Bruni, Mugnai and Del Bimbo, CL2R: Compatible Lifelong Learning "
        "Representations, 2023",
        "glocal.learn.recipes.cl2r:LifelongLearning",
        requires=_LEARN,
        summary="learns new classes with few images of the old; use with objective cores",
        traits=("compatible",),
    ),
    Part(
        "recipe",
        "oca",
        "Ricci, Biondi, Pernici and Del Bimbo, Backward-Compatible Aligned Representations via an "
        "Orthogonal Transformation Layer, 2024",
        "glocal.learn.recipes.oca:OrthogonalAlignment",
        requires=_LEARN,
        summary="a longer vector whose first numbers are comparable with the old model's",
        traits=("compatible",),
    ),
    Part(
        "recipe",
        "fcpl",
        "Wang, Sun and Yang, Feature-compatible Progressive Learning for Video Copy Detection, "
        "2023",
        "glocal.learn.recipes.fcpl:FeatureCompatible",
        requires=_LEARN,
        summary="another descriptor near the vectors of the first, to query it and be averaged",
        traits=("compatible",),
    ),
)
