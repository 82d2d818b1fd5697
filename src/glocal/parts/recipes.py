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
)
