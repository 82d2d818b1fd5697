"""The adapters: few parameters that learn beside frozen weights (`glocal.learn.adapters`)."""

from glocal.registry import Part

_LEARN = "glocal[learn]"

ROWS = (
    Part(
        "adapter",
        "lora",
        "Hu, Shen, Wallis, Allen-Zhu, Li, Wang, Wang and Chen, LoRA: Low-Rank Adaptation of Large "
        "Language Models, 2021",
        "glocal.learn.adapters.low_rank:Lora",
        requires=_LEARN,
        summary="a product of two narrow matrices beside each weight",
    ),
    Part(
        "adapter",
        "pissa",
        "Meng, Wang and Zhang, PiSSA: Principal Singular Values and Singular Vectors Adaptation of "
        "Large Language Models, 2024",
        "glocal.learn.adapters.low_rank:Pissa",
        requires=_LEARN,
        summary="the principal part of each weight learns, as a product of two narrow matrices",
    ),
    Part(
        "adapter",
        "svfit",
        "Sun, Wei, Wu, Shi, He, Ma, Xie and Yang, SVFit: Parameter-Efficient Fine-Tuning of Large "
        "Pre-Trained Models Using Singular Values, 2024",
        "glocal.learn.adapters.svfit:SvFit",
        requires=_LEARN,
        summary="the largest singular values of each weight learn",
    ),
)
