"""The training loop: steps, evaluations, checkpoints."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, cast

import torch

from glocal.errors import LearnError
from glocal.learn import checkpoint
from glocal.learn.batches import Batch, Loader, Plan, stream
from glocal.learn.curves import Curves
from glocal.learn.evaluator import Evaluation, vectors_of
from glocal.learn.learning import Learning, MakeOptimizer
from glocal.learn.model import Model
from glocal.learn.moving_average import moving_average
from glocal.learn.settings import Settings

LAST, BEST, CURVES = "last.pt", "best.pt", "curves.jsonl"
_SAVE_SECONDS = 120
_WARM_UP = 0.03  # part of the training during which the learning rate rises
_LOWEST = 0.01  # last learning rate, relative to the highest
_SHORTEST_CHECK, _LONGEST_CHECK = 10, 200  # steps


@dataclass(slots=True)
class Progress:
    """State of a training; a checkpoint stores all of it.

    Attributes:
        step: number of steps done.
        seconds: time spent, summed over all runs of this training.
        best: highest decisive figure of an evaluation so far.
        since: number of evaluations since the best one.
    """

    step: int = 0
    seconds: float = 0.0
    best: float = -math.inf
    since: int = 0


OnStep = Callable[[float, dict[str, float]], None]
"""Called with the part of the training that is done, in [0, 1], and the figures of the step."""


class Loop:
    """Trains a model until its time is over, it is stopped, or evaluations stop improving.

    Args:
        learning: the model and its recipe.
        settings: the training's settings.
        plan: which images make each batch.
        load: reads and augments an image of a batch.
        evaluate: measures the moving average of the model.
        run: folder of checkpoints and curves; a checkpoint there is resumed.
        optimizer: makes the optimizer.
    """

    def __init__(
        self,
        learning: Learning,
        settings: Settings,
        plan: Plan,
        load: Loader,
        evaluate: Evaluation,
        run: Path,
        optimizer: MakeOptimizer = torch.optim.AdamW,
    ) -> None:
        self.learning, self.settings, self.plan, self.load = learning, settings, plan, load
        self.evaluate, self.run_folder = evaluate, run
        self.progress = Progress()
        self.average = moving_average(learning.model, settings.average)
        learning.make_optimizer(settings.lr, optimizer)
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
        learning.done = done
        learning.model.train()
        learning.model.head.progress(done)
        try:
            figures = learning.recipe.step(learning, batch)
        except torch.OutOfMemoryError as error:
            raise LearnError(
                f"the GPU has too little memory for steps of {len(batch.images)} images of "
                f"{self.settings.side} pixels; use a smaller --batch, --views or --side"
            ) from error
        if not math.isfinite(figures["loss"]):
            raise LearnError(
                f"the loss is {figures['loss']} at step {self.progress.step + 1}; lower --lr, now "
                f"{self.settings.lr:g}, and start anew with another --run: what is in "
                f"{self.run_folder} belongs to this --lr"
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
        decisive = figures[self.evaluate.decisive]
        if decisive > self.progress.best:
            self.progress.best, self.progress.since = decisive, 0
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
            "recipe": learning.recipe.state_dict(),
            "optimizer": learning.optimizer.state_dict(),
            "optimizer type": type(learning.optimizer).__name__,
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
        made, now = state.get("optimizer type", "AdamW"), type(self.learning.optimizer).__name__
        if made != now:
            misfits.append(f"the optimizer was {made}, is {now}")
        if misfits:
            raise LearnError(
                f"{where} belongs to another training: {'; '.join(misfits)}. Use the same options "
                "to resume it, or another --run to start a new one"
            )
        learning = self.learning
        checkpoint.load_model(learning.model, state, str(where))
        self.averaged_model.load_state_dict(state["average"])
        self.average.n_averaged.fill_(state["step"])
        if "objectives" in state:  # a checkpoint from before there were recipes
            self._objectives().load_state_dict(state["objectives"])
        else:
            learning.recipe.load_state_dict(state["recipe"])
        learning.optimizer.load_state_dict(state["optimizer"])
        if "scaler" in state and learning.scaler.is_enabled():
            learning.scaler.load_state_dict(state["scaler"])
        torch.set_rng_state(state["random"])
        if "random of the GPU" in state and learning.device.type == "cuda":
            torch.cuda.set_rng_state(state["random of the GPU"], learning.device)
        self.progress = Progress(state["step"], state["seconds"], state["best"], state["since"])

    def _objectives(self) -> torch.nn.ModuleList:
        both = (self.learning.recipe.objective, self.learning.recipe.instance)
        return torch.nn.ModuleList([objective for objective in both if objective is not None])

    def _images(self) -> list[int]:
        """Counts that tell whether the images are those of a checkpoint."""
        labels = self.plan.labels
        return [len(labels), int(labels.max(initial=-1)), int((labels >= 0).sum())]
