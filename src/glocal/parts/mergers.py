"""The mergers: one network of several that were tuned from the same (`glocal.learn.mergers`)."""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS = (
    Part(
        "merger",
        "average",
        "Wortsman et al., Model Soups: Averaging Weights of Multiple Fine-Tuned Models Improves "
        "Accuracy without Increasing Inference Time, 2022",
        "glocal.learn.mergers.average:Average",
        requires=_LEARN,
        summary="the mean of all weights",
    ),
    Part(
        "merger",
        "ties",
        "Yadav, Tam, Choshen, Raffel and Bansal, TIES-Merging: Resolving Interference When "
        "Merging Models, 2023",
        "glocal.learn.mergers.ties:Ties",
        requires=_LEARN,
        summary="large changes only, where most tunings agree on the sign",
    ),
    Part(
        "merger",
        "task-arithmetic",
        "Ilharco, Ribeiro, Wortsman, Gururangan, Schmidt, Hajishirzi and Farhadi, Editing Models "
        "with Task Arithmetic, 2023",
        "glocal.learn.mergers.task_arithmetic:TaskArithmetic",
        requires=_LEARN,
        summary="what all tunings have changed, added up",
    ),
    Part(
        "merger",
        "concrete",
        "Tang, Shen, Luo, Ding, Hu, Du and Tao, Concrete Subspace Learning based Interference "
        "Elimination for Multi-task Model Fusion, 2023",
        "glocal.learn.mergers.concrete:Concrete",
        requires=_LEARN,
        summary="what a mask lets through of all changes, learned from unlabelled images",
    ),
)
