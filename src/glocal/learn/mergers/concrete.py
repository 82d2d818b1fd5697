"""Concrete subspace merging: which parameters tunings may change together is learned."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call

from glocal.errors import LearnError
from glocal.learn.mergers.merger import Network
from glocal.learn.mergers.task_arithmetic import TaskArithmetic

Loss = Callable[[Tensor], Tensor]
Weights = Mapping[str, Tensor]


def entropy(scores: Tensor) -> Tensor:
    """Mean entropy, in nats, of the classes that scores ``(b, k)`` give."""
    return -(scores.softmax(dim=1) * scores.log_softmax(dim=1)).sum(dim=1).mean()


class Concrete(TaskArithmetic):
    """Task arithmetic in a subspace that all tunings share: a mask of parameters, learned.

    With ``x`` a number for each parameter, ``u`` uniform in (0, 1) and a temperature t, the mask is

    ``m = sigmoid((log(u / (1 - u)) + x) / t)``,

    a relaxation of one of zeros and ones. It is divided by its mean, so that what remains of a
    change makes up for what is left out, and the merged network is ``t_0 + l sum_i m (t_i - t_0)``.
    The numbers ``x`` are learned such that the merged network is sure of its classes: by the
    entropy of what it says of images of each task, whose labels are not needed. Afterwards
    ``sigmoid(x)`` is the mask.

    Source: Tang, Shen, Luo, Ding, Hu, Du and Tao, Concrete Subspace Learning based Interference
    Elimination for Multi-task Model Fusion, 2023.

    Deviations: of the paper's two levels only the mask is learned, as in its Concrete Task
    Arithmetic, where the scale stays as it is; the final mask is the expected one, not a sample;
    running statistics are averaged, and stay as they are while the mask is learned. Whether the
    paper divides by the mean in just this way was not checked.

    Args:
        images: For each tuning, in the order that `merge` gets them, images ``(n, ...)`` of its
            task, as the network takes them; without any, it is task arithmetic.
        classifiers: For each tuning, what makes scores of classes of the network's output; None
            where the output has them.
        scale: ``l``, above 0.
        steps: How often ``x`` is moved.
        batch: Images of each task in a step.
        rate: Learning rate of Adam.
        temperature: ``t``, above 0.
        seed: Of the batches and masks that are drawn.
        loss: Of scores ``(b, k)``, lower where the network is surer.

    Raises:
        LearnError: A setting is out of range; while merging, if images or classifiers are not as
            many as there are tunings.
    """

    name = "concrete"

    def __init__(
        self,
        *,
        images: Sequence[Tensor] | None = None,
        classifiers: Sequence[Callable[[Tensor], Tensor]] | None = None,
        scale: float = 0.5,
        steps: int = 100,
        batch: int = 64,
        rate: float = 0.1,
        temperature: float = 0.5,
        seed: int = 0,
        loss: Loss = entropy,
    ) -> None:
        super().__init__(scale=scale)
        if steps < 1 or batch < 1 or not rate > 0 or not temperature > 0:
            raise LearnError(
                f"a mask cannot be learned in {steps} steps of {batch} images with a rate of "
                f"{rate:g} and a temperature of {temperature:g}; give numbers above 0"
            )
        self.images, self.classifiers = images, classifiers
        self.steps, self.batch, self.rate = steps, batch, rate
        self.temperature, self.seed, self.loss = temperature, seed, loss

    def merge(self, base: Network, tuned: Sequence[nn.Module]) -> Network:
        """See `Merger.merge`."""
        merged = super().merge(base, tuned)
        if self.images is None:
            return merged
        for what, given in (("images", self.images), ("classifiers", self.classifiers)):
            if given is not None and len(given) != len(tuned):
                raise LearnError(
                    f"there are {what} of {len(given)} tasks and {len(tuned)} tuned networks; give "
                    "those of each, in the same order"
                )
        if not all(len(each) for each in self.images):
            raise LearnError("a task has no images; give one or more of each")
        start = {name: each.detach() for name, each in base.named_parameters()}
        # What `change` has made of all tunings together: the mask is one for all.
        changes = {name: each.detach() - start[name] for name, each in merged.named_parameters()}
        logits = self._learned(merged, start, changes)
        masked = _masked(start, changes, {name: each.sigmoid() for name, each in logits.items()})
        with torch.no_grad():
            for name, parameter in merged.named_parameters():
                parameter.copy_(masked[name])
        return merged

    def _learned(self, network: nn.Module, start: Weights, changes: Weights) -> dict[str, Tensor]:
        """The number ``x`` of each parameter."""
        device = next(iter(start.values())).device
        random = torch.Generator(device).manual_seed(self.seed)
        logits = {name: torch.zeros_like(each).requires_grad_() for name, each in start.items()}
        optimizer = torch.optim.Adam(list(logits.values()), self.rate)
        was_training = network.training
        network.eval()
        for _ in range(self.steps):
            mask = {name: self._drawn(each, random) for name, each in logits.items()}
            weights = _masked(start, changes, mask)
            loss = torch.zeros((), device=device)
            for number, images in enumerate(self.images or ()):
                chosen = torch.randint(len(images), (self.batch,), generator=random, device=device)
                output = functional_call(network, weights, (images[chosen.to(images.device)],))
                scores = self.classifiers[number](output) if self.classifiers else output
                loss = loss + self.loss(scores)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
        network.train(was_training)
        return {name: each.detach() for name, each in logits.items()}

    def _drawn(self, logits: Tensor, random: torch.Generator) -> Tensor:
        """A mask, from 0 to 1."""
        uniform = torch.rand(logits.shape, generator=random, device=logits.device)
        noise = uniform.clamp(1e-6, 1 - 1e-6).logit()
        return ((noise + logits) / self.temperature).sigmoid()


def _masked(start: Weights, changes: Weights, mask: Weights) -> dict[str, Tensor]:
    """The weights with what of the changes the mask lets through, divided by its mean."""
    count = sum(each.numel() for each in mask.values())
    mean = torch.stack([each.sum() for each in mask.values()]).sum() / count
    return {name: each + changes[name] * mask[name] / mean for name, each in start.items()}
