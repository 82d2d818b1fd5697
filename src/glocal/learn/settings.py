"""Everything one chooses about a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from typing import Any, Literal

from glocal.errors import LearnError
from glocal.learn.part_options import Value, read_options
from glocal.registry import part

INSTANCE = "instance"
Final = Literal["projection", "whitening"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

# What may change from one sitting to the next: how long, and what is made of it in the end.
_FREE = frozenset(
    {"epochs", "minutes", "patience", "workers", "input_side", "final", "device", "precision"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a model is trained; the defaults suit a small machine.

    Attributes:
        backbone: registered name.
        weights: of the backbone; see `glocal.learn.model.build_model`.
        start: checkpoint of another training whose model this one starts from.
        head: registered name.
        objective: registered name; ``instance`` learns without labels.
        options: of head and objective, such as ``head.power`` and ``objective.margin``; see
            `glocal.learn.part_options.read_options`.
        dim: length of the vector.
        epochs: how often every image is seen; or else
        minutes: how long, over all sittings.
        batch: labelled images in a step, or images in two views where there are no labels.
        views: images in two views in a step, beside labelled ones.
        side: of the square images it learns from, in pixels.
        lr: highest learning rate, of AdamW.
        seed: of everything that is random.
        freeze: stages of the backbone that keep their weights.
        strength: of the augmentation of views; labelled images have half.
        mirror: whether images may be mirrored.
        cutmix: share of the views that are mixed of two images.
        temperature: of the self-supervised part.
        entropy: weight of its spread.
        self_weight: of the self-supervised part beside labels.
        average: decay of the moving average of weights.
        check: steps from one judgement to the next; 0: an epoch, or 200 where that is shorter.
        patience: judgements without a better one after which training ends; 0: never.
        input_side: the finished model takes images with this, squared, pixels.
        final: ``projection`` keeps the trained last map; ``whitening`` fits another one to the
            pooled features before it.
        workers: threads that make images.
        device: cpu, cuda, or auto: a GPU where there is one.
        precision: of what the network computes; auto: half on a GPU, full elsewhere.
    """

    backbone: str = "efficientnet-lite0"
    weights: str = "imagenet"
    start: str | None = None
    head: str = "gem"
    objective: str = "arcface"
    options: Mapping[str, str | Value] = field(default_factory=dict)
    dim: int = 256
    epochs: float | None = None
    minutes: float | None = None
    batch: int = 48
    views: int = 24
    side: int = 160
    lr: float = 4e-4
    seed: int = 0
    freeze: int = 0
    strength: float = 1.0
    mirror: bool = False
    cutmix: float = 0.0
    temperature: float = 0.06
    entropy: float = 1.0
    self_weight: float = 1.0
    average: float = 0.998
    check: int = 0
    patience: int = 10
    input_side: int = 320
    final: Final = "projection"
    workers: int = 2
    device: str = "auto"
    precision: Precision = "auto"

    @property
    def labelled(self) -> bool:
        """Whether it learns from labels."""
        return self.objective != INSTANCE

    def check_sense(self) -> None:
        """See whether the values make sense, before anything is read.

        Raises:
            LearnError: one does not; the text says which.
        """
        part("backbone", self.backbone.partition(":")[0])
        part("head", self.head)
        part("objective", self.objective)
        if (self.epochs is None) == (self.minutes is None):
            raise LearnError("say how long to train: either --epochs or --minutes")
        least = {
            "epochs": self.epochs, "minutes": self.minutes, "lr": self.lr,
            "temperature": self.temperature, "dim": self.dim, "workers": self.workers,
        }  # fmt: skip
        for name, value in least.items():
            if value is not None and not value > 0:
                raise LearnError(f"--{name} has to be more than 0, not {value}")
        not_below = {
            "entropy": self.entropy, "self-weight": self.self_weight, "seed": self.seed,
            "freeze": self.freeze, "check": self.check, "patience": self.patience,
        }  # fmt: skip
        for name, value in not_below.items():
            if not 0 <= value < math.inf:
                raise LearnError(f"--{name} has to be at least 0, not {value}")
        if self.batch < 4:
            raise LearnError(f"--batch {self.batch} leaves nothing to compare; give 4 or more")
        if self.views < 2:
            raise LearnError(f"--views {self.views} leaves nothing to compare; give 2 or more")
        for name, side in (("side", self.side), ("input-side", self.input_side)):
            if side < 32 or side % 32:
                raise LearnError(f"--{name} has to be a multiple of 32 pixels, not {side}")
        if not 0 <= self.average < 1:
            raise LearnError(f"--average is from 0 up to but not 1, not {self.average}")
        if not 0 <= self.strength <= 2:
            raise LearnError(f"--strength of augmentation is between 0 and 2, not {self.strength}")
        if not 0 <= self.cutmix <= 1:
            raise LearnError(f"--cutmix is a share, between 0 and 1, not {self.cutmix}")

    def with_options_read(self) -> Settings:
        """The same, with `options` checked against head and objective and read into plain values.

        Raises:
            LearnError: a part has no such option, or the value is not one for it.
            MissingExtraError: a part needs a package that is not installed.
        """
        read = read_options(self.options, head=self.head, objective=self.objective)
        return replace(self, options=read)

    def as_dict(self) -> dict[str, Any]:
        """Plain values by name."""
        return asdict(self)

    def misfits(self, other: dict[str, Any]) -> list[str]:
        """How this differs from what a checkpoint was trained with, where it must not.

        What a checkpoint does not speak of, because it is older, was as it is by default.
        """
        found = []
        for known in fields(self):
            before, now = other.get(known.name, _default(known)), getattr(self, known.name)
            if known.name in _FREE or before == now:
                continue
            if known.name != "options":
                found.append(f"{known.name} was {before!r}, is {now!r}")
                continue
            for name in sorted(before.keys() | now.keys()):
                if before.get(name) != now.get(name):
                    was, is_now = before.get(name, "not set"), now.get(name, "not set")
                    found.append(f"{name} was {was}, is {is_now}")
        return found


def _default(known: Field[Any]) -> Any:
    return known.default if known.default_factory is MISSING else known.default_factory()
