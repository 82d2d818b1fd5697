"""All settings of a training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import MISSING, Field, asdict, dataclass, field, fields, replace
from typing import Any, Literal

from glocal.errors import LearnError
from glocal.learn.part_options import Value, read_options
from glocal.registry import Kind, names, part

INSTANCE = "instance"
COMPATIBLE = "compatible"
"""Trait of recipes that tie a model to an old one."""
STATIONARY = "stationary"
"""Trait of objectives with class weights that are the same in every training."""
Final = Literal["projection", "whitening"]
Precision = Literal["auto", "float32", "bfloat16", "float16"]

# What may change when a training is resumed: how long it lasts, and how it is finished.
_FREE = frozenset(
    {"epochs", "minutes", "patience", "workers", "input_side", "final", "device", "precision"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How a model is trained; the defaults suit a small machine.

    Attributes:
        backbone: registered name.
        weights: weights of the backbone; see `glocal.learn.model.build_model`.
        block: registered name of a block that is grafted into the backbone; see
            `glocal.learn.graft.graft`.
        start: checkpoint of another training whose weights this one starts from.
        compatible_with: model file that the new model's vectors stay comparable with.
        head: registered name.
        objective: registered name; ``instance`` learns without labels.
        recipe: registered name.
        options: options of head, objective and recipe, such as ``head.power``;
            see `glocal.learn.part_options.read_options`.
        dim: length of the vector.
        epochs: number of passes over the images; give this or `minutes`.
        minutes: duration of the training, summed over all runs of it.
        batch: labelled images per step, or images in two views each if there are no labels.
        views: images in two views each per step, beside labelled ones.
        side: side of the square training images, in pixels.
        lr: highest learning rate of AdamW.
        seed: seed of all random choices.
        freeze: number of backbone stages whose weights do not change.
        strength: strength of the augmentation of views, in [0, 2]; labelled images get half.
        mirror: whether images may be mirrored.
        cutmix: share of the views that are mixed from two images, in [0, 1].
        temperature: temperature of the self-supervised objective.
        entropy: weight of the entropy term of the self-supervised objective.
        self_weight: weight of the self-supervised objective beside labels.
        average: decay of the moving average of weights, in [0, 1).
        check: steps between evaluations; 0 means an epoch, but at least 10 and at most 200.
        patience: evaluations without improvement before early stopping; 0 means never.
        input_side: the finished model takes images of about this many pixels, squared.
        final: ``projection`` keeps the trained projection; ``whitening`` fits a new one to the
            pooled features.
        workers: number of threads that load images.
        device: cpu, cuda, or auto, which is a GPU if there is one.
        precision: type that the network computes in; auto is half precision on a GPU, and single
            precision elsewhere.
    """

    backbone: str = "efficientnet-lite0"
    weights: str = "imagenet"
    block: str | None = None
    start: str | None = None
    compatible_with: str | None = None
    head: str = "gem"
    objective: str = "arcface"
    recipe: str = "labels-and-views"
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
        """Whether the training uses labels."""
        return self.objective != INSTANCE

    def parts(self) -> dict[Kind, str]:
        """Registered names of all parts, by kind."""
        found: dict[Kind, str] = {
            "backbone": self.backbone.partition(":")[0], "head": self.head,
            "objective": self.objective, "recipe": self.recipe,
        }  # fmt: skip
        return found | ({} if self.block is None else {"block": self.block})

    def check_sense(self) -> None:
        """Check the values before anything is read.

        Raises:
            LearnError: a value is impossible; the text says which.
        """
        for kind, part_name in self.parts().items():
            part(kind, part_name)
        self._check_compatibility()
        if (self.epochs is None) == (self.minutes is None):
            raise LearnError("set how long to train: use either --epochs or --minutes")
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
        self._check_sizes()
        if not 0 <= self.average < 1:
            raise LearnError(f"--average has to be at least 0 and less than 1, not {self.average}")
        if not 0 <= self.strength <= 2:
            raise LearnError(f"--strength of augmentation has to be in [0, 2], not {self.strength}")
        if not 0 <= self.cutmix <= 1:
            raise LearnError(f"--cutmix is a share and has to be in [0, 1], not {self.cutmix}")

    def _check_sizes(self) -> None:
        if self.batch < 4:
            raise LearnError(f"--batch {self.batch} leaves nothing to compare; use 4 or more")
        if self.views < 2:
            raise LearnError(f"--views {self.views} leaves nothing to compare; use 2 or more")
        for name, side in (("side", self.side), ("input-side", self.input_side)):
            if side < 32 or side % 32:
                raise LearnError(f"--{name} has to be a multiple of 32 pixels, not {side}")

    def _check_compatibility(self) -> None:
        tied = COMPATIBLE in part("recipe", self.recipe).traits
        stationary = STATIONARY in part("objective", self.objective).traits
        if self.compatible_with is None and tied:
            raise LearnError(
                f"the recipe {self.recipe} ties a model to an old one; name its file by "
                "--compatible-with"
            )
        if self.compatible_with is not None and not (tied or stationary):
            raise LearnError(
                f"--compatible-with needs a recipe or an objective that keeps vectors comparable; "
                f"use one of the recipes {_having('recipe', COMPATIBLE)}, or of the objectives "
                f"{_having('objective', STATIONARY)}"
            )
        if self.final == "whitening" and (tied or stationary):
            raise LearnError(
                "--final whitening fits a new projection after the training, and its vectors would "
                "no longer be comparable; use --final projection"
            )

    def with_options_read(self) -> Settings:
        """The same settings, with `options` checked and read into plain values.

        Raises:
            LearnError: a part has no such option, or the option does not take the value.
            MissingExtraError: a part needs a package that is not installed.
        """
        read = read_options(
            self.options, head=self.head, objective=self.objective, recipe=self.recipe
        )
        return replace(self, options=read)

    def as_dict(self) -> dict[str, Any]:
        """The settings as plain values by name."""
        return asdict(self)

    def misfits(self, other: dict[str, Any]) -> list[str]:
        """List the settings that differ from those of a checkpoint, but must not.

        A setting that an older checkpoint does not have counts as its default.
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


def _having(kind: Kind, trait: str) -> str:
    return ", ".join(name for name in names(kind) if trait in part(kind, name).traits)


def _default(known: Field[Any]) -> Any:
    return known.default if known.default_factory is MISSING else known.default_factory()
