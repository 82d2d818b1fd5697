"""The training loop: steps, evaluations, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from glocal.errors import LearnError
from glocal.learn import checkpoint
from glocal.learn.batches import Batch, Loader, Plan, stream
from glocal.learn.contracts import Objective
from glocal.learn.curves import Curves
from glocal.learn.evaluator import Evaluator, vectors_of
from glocal.learn.model import Model
from glocal.learn.moving_average import moving_average
from glocal.learn.settings import Settings

LAST, BEST, CURVES = "last.pt", "best.pt", "curves.jsonl"
_SAVE_SECONDS = 120
_WARM_UP = 0.03  # part of the training during which the learning rate rises
_LOWEST = 0.01  # last learning rate, relative to the highest
_CLASS_RATE = 10  # how much faster class weights learn: they start at random
_WEIGHT_DECAY = 0.01
_LONGEST_GRADIENT = 5.0
_SHORTEST_CHECK, _LONGEST_CHECK = 10, 200  # steps


@dataclass(slots=True)
class Progress:
    """State of a training; a checkpoint stores all of it.

    Attributes:
        step: number of steps done.
        seconds: time spent, summed over all runs of this training.
        best: highest mAP so far.
        since: number of evaluations since the best one.
    """

    step: int = 0
    seconds: float = 0.0
    best: float = -1.0
    since: int = 0


@dataclass(slots=True)
class Learning:
    """The model in training, with its objectives and optimizer.

    Attributes:
        model: the model that learns.
        instance: self-supervised objective; None without views.
        objective: objective on labels; None without labels.
        device: device that holds the model and the objectives.
        precision: type that the network computes in; weights are always float32.
        scaler: keeps gradients in the range of float16; does nothing for other precisions.
    """

    model: Model
    instance: Objective | None
    objective: Objective | None
    device: torch.device
    precision: torch.dtype = torch.float32
    optimizer: torch.optim.Optimizer = field(init=False)
    scaler: torch.amp.GradScaler = field(init=False)

    def __post_init__(self) -> None:
        # bfloat16 has the range of float32 and needs no scaling of the loss.
        self.scaler = torch.amp.GradScaler(
            self.device.type, enabled=self.precision == torch.float16
        )

    def make_optimizer(self, lr: float) -> None:
        """Make AdamW, with faster learning for class weights and no decay for biases and gains."""
        groups: dict[tuple[float, float], list[nn.Parameter]] = {}
        for parameter in self.model.parameters():
            if parameter.requires_grad:
                decay = _WEIGHT_DECAY if parameter.ndim > 1 else 0.0
                groups.setdefault((lr, decay), []).append(parameter)
        for objective in (self.objective, self.instance):
            for parameter in objective.parameters() if objective else ():
                groups.setdefault((lr * _CLASS_RATE, 0.0), []).append(parameter)
        self.optimizer = torch.optim.AdamW(
            [
                {"params": parameters, "lr": rate, "weight_decay": decay, "highest": rate}
                for (rate, decay), parameters in groups.items()
            ]
        )

    def losses(self, batch: Batch, self_weight: float) -> dict[str, Tensor]:
        """The terms of the loss of a batch; the model learns from their sum."""
        pixels = torch.from_numpy(batch.images).to(self.device).permute(0, 3, 1, 2).float() / 255
        labels = torch.from_numpy(batch.labels).to(self.device)
        own = batch.labelled
        shown = labels[own:]
        if batch.second is not None:
            second = torch.from_numpy(batch.second).to(self.device)
            shown = torch.stack([labels, second], dim=1)[own:]
        parts = {}
        with self.fast:
            maps = self.model.backbone(pixels.contiguous(memory_format=torch.channels_last))
            if self.objective is not None:
                output = self.model.head([feature_map[:own] for feature_map in maps])
                parts["loss labels"] = self.objective(output.vector, labels[:own])
                parts["loss head"] = self.model.head.loss(output, labels[:own])
            if self.instance is not None:
                output = self.model.head([feature_map[own:] for feature_map in maps])
                parts["loss views"] = self_weight * self.instance(output.vector, shown)
                if self.objective is None:
                    parts["loss head"] = self.model.head.loss(output, shown)
        return parts

    @property
    def fast(self) -> torch.autocast:
        """Context in which the network computes in half precision, if `precision` says so."""
        return torch.autocast(
            self.device.type, self.precision, enabled=self.precision != torch.float32
        )

    def step(self, batch: Batch, self_weight: float) -> dict[str, float]:
        """Learn from a batch, and return the loss and its terms."""
        parts = self.losses(batch, self_weight)
        loss = torch.stack([part.float() for part in parts.values()]).sum()
        self.optimizer.zero_grad(set_to_none=True)
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        for group in self.optimizer.param_groups:
            nn.utils.clip_grad_norm_(group["params"], _LONGEST_GRADIENT)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return {name: float(part.detach()) for name, part in ({"loss": loss} | parts).items()}


OnStep = Callable[[float, dict[str, float]], None]
"""Called with the part of the training that is done, in [0, 1], and the figures of the step."""


class Loop:
    """Trains a model until its time is over, it is stopped, or evaluations stop improving.

    Args:
        learning: the model and its objectives.
        settings: the training's settings.
        plan: which images make each batch.
        load: reads and augments an image of a batch.
        evaluate: measures retrieval with the moving average of the model.
        run: folder of checkpoints and curves; a checkpoint there is resumed.
    """

    def __init__(
        self,
        learning: Learning,
        settings: Settings,
        plan: Plan,
        load: Loader,
        evaluate: Evaluator,
        run: Path,
    ) -> None:
        self.learning, self.settings, self.plan, self.load = learning, settings, plan, load
        self.evaluate, self.run_folder = evaluate, run
        self.progress = Progress()
        self.average = moving_average(learning.model, settings.average)
        learning.make_optimizer(settings.lr)
        if (run / LAST).exists():
            self._resume(checkpoint.load(run / LAST))
        self.curves = Curves(run / CURVES, step=self.progress.step)
        self.check = settings.check or min(max(plan.epoch_steps, _SHORTEST_CHECK), _LONGEST_CHECK)

    @property
    def averaged_model(self) -> Model:
        """The moving average of the model, in evaluation mode."""
        return cast(Model, self.average.module)

    @property
    def done(self) -> float:
        """Part of the training that is done, in [0, 1]."""
        if self.settings.minutes is not None:
            return min(1.0, self.progress.seconds / 60 / self.settings.minutes)
        steps = max(1, round((self.settings.epochs or 0) * self.plan.epoch_steps))
        return min(1.0, self.progress.step / steps)

    @property
    def should_stop(self) -> bool:
        """Whether it is time for early stopping: evaluations have stopped improving."""
        return 0 < self.settings.patience <= self.progress.since

    def run(self, on_step: OnStep, stop: Callable[[], bool]) -> bool:
        """Train.

        Args:
            on_step: called after every step.
            stop: called after every step; when it returns True, a checkpoint is written and the
                training stops.

        Returns:
            Whether the training is finished; False if it was stopped.

        Raises:
            LearnError: the loss is not a finite number.
            DiskFullError: a checkpoint cannot be written.
        """
        if self.done >= 1 or self.should_stop:
            return True
        batches = stream(
            self.plan,
            self.load,
            first=self.progress.step,
            workers=self.settings.workers,
            mixed=self.settings.cutmix,
        )
        saved = started = time.monotonic()
        try:
            for batch in batches:
                figures = self._learn(batch)
                now = time.monotonic()
                self.progress.seconds, started = self.progress.seconds + now - started, now
                ended = self.done >= 1
                if self.evaluate.has_images and (ended or self.progress.step % self.check == 0):
                    figures |= self._evaluate()
                    saved = now - _SAVE_SECONDS  # an evaluation is worth a checkpoint
                    started = time.monotonic()
                self.curves.add(
                    {"step": self.progress.step, "seconds": round(self.progress.seconds, 1)}
                    | {name: float(f"{value:.5g}") for name, value in figures.items()}
                )
                on_step(self.done, figures)
                stopping = stop()
                ended = ended or self.should_stop
                if ended or stopping or time.monotonic() - saved >= _SAVE_SECONDS:
                    self._save()
                    saved = time.monotonic()
                if ended or stopping:
                    return ended
        finally:
            batches.close()
        return True

    def _learn(self, batch: Batch) -> dict[str, float]:
        learning, done = self.learning, self.done
        rising = min(1.0, (done + 1e-3) / _WARM_UP)
        falling = _LOWEST + (1 - _LOWEST) * (1 + math.cos(math.pi * done)) / 2
        for group in learning.optimizer.param_groups:
            group["lr"] = group["highest"] * rising * falling
        learning.model.train()
        learning.model.head.progress(done)
        try:
            figures = learning.step(batch, self.settings.self_weight)
        except torch.OutOfMemoryError as error:
            raise LearnError(
                f"the GPU has too little memory for steps of {len(batch.images)} images of "
                f"{self.settings.side} pixels; use a smaller --batch, --views or --side"
            ) from error
        if not math.isfinite(figures["loss"]):
            raise LearnError(
                f"the loss is {figures['loss']} at step {self.progress.step + 1}; lower --lr, now "
                f"{self.settings.lr:g}, and start again: {self.run_folder} has the last checkpoint "
                "before it"
            )
        self.progress.step += 1
        self.average.update_parameters(learning.model)
        return figures | {"lr": learning.optimizer.param_groups[0]["lr"]}

    def _evaluate(self) -> dict[str, float]:
        figures = self.evaluate(
            partial(
                vectors_of,
                self.averaged_model,
                side=self.settings.input_side,
                pooled=self.settings.final == "whitening",
            )
        )
        if figures["mAP"] > self.progress.best:
            self.progress.best, self.progress.since = figures["mAP"], 0
            best = {"model": self.averaged_model.state_dict(), "settings": self.settings.as_dict()}
            checkpoint.save(self.run_folder / BEST, best | {"step": self.progress.step})
        else:
            self.progress.since += 1
        return figures

    def _save(self) -> None:
        learning, progress = self.learning, self.progress
        state: dict[str, Any] = {
            "settings": self.settings.as_dict(),
            "images": self._images(),
            "model": learning.model.state_dict(),
            "average": self.averaged_model.state_dict(),
            "objectives": self._objectives().state_dict(),
            "optimizer": learning.optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "step": progress.step,
            "seconds": progress.seconds,
            "best": progress.best,
            "since": progress.since,
        }
        if learning.scaler.is_enabled():
            state["scaler"] = learning.scaler.state_dict()
        if learning.device.type == "cuda":
            state["random of the GPU"] = torch.cuda.get_rng_state(learning.device)
        checkpoint.save(self.run_folder / LAST, state)
        self.curves.draw()

    def _resume(self, state: dict[str, Any]) -> None:
        where = self.run_folder / LAST
        misfits = self.settings.misfits(state["settings"])
        if state["images"] != self._images():
            misfits.append("the images are not the same")
        if misfits:
            raise LearnError(
                f"{where} belongs to another training: {'; '.join(misfits)}. Use the same options "
                "to resume it, or another --run to start a new one"
            )
        learning = self.learning
        checkpoint.load_model(learning.model, state, str(where))
        self.averaged_model.load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["step"])
        self._objectives().load_state_dict(state["objectives"])
        learning.optimizer.load_state_dict(state["optimizer"])
        if "scaler" in state and learning.scaler.is_enabled():
            learning.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        if "random of the GPU" in state and learning.device.type == "cuda":
            torch.cuda.set_rng_state(state["random of the GPU"], learning.device)
        self.progress = Progress(state["step"], state["seconds"], state["best"], state["since"])

    def _objectives(self) -> nn.ModuleList:
        both = (self.learning.objective, self.learning.instance)
        return nn.ModuleList([objective for objective in both if objective is not None])

    def _images(self) -> list[int]:
        """Counts that tell whether the images are those of a checkpoint."""
        labels = self.plan.labels
        return [len(labels), int(labels.max(initial=-1)), int((labels >= 0).sum())]
