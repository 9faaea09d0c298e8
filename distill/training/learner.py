"""A network in training, with its optimizer over all ranks and its moving average."""

from collections.abc import Callable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim.swa_utils import AveragedModel

from distill.data.dataset import Batch
from distill.training.config import TrainingConfig
from distill.training.ranks import ProcessGroup

# The average moves every few steps by the matching power of its decay: the same curve in a fraction of the time.
EMA_EVERY = 8

Tensors = list[Tensor] | tuple[Tensor, ...]


class Network(Protocol):
    """A torch.nn.Module that can be trained here."""

    def groups(self, learning_rate: float, weight_decay: float) -> list[dict[str, Any]]:
        """The parameters as groups of an optimizer, each with its own `lr`."""
        ...


class Learner:
    """A network in training; name: that of its view of the data, such as "student"."""

    def __init__(self, name: str, model: Any, config: TrainingConfig, ranks: ProcessGroup):
        self.name = name
        self.done = 0.0  # share of its steps that are made
        self.model: torch.nn.Module = model.to(ranks.device)
        self._ranks, self._grad_clip = ranks, config.grad_clip
        for module in model.modules():
            if isinstance(module, torch.nn.Embedding):
                module.sparse = ranks.sparse
        ranks.broadcast(dict(model.state_dict()))
        groups = model.groups(config.learning_rate, config.weight_decay)
        self._rates = [group["lr"] for group in groups]
        self.optimizer = ranks.optimizer(
            torch.optim.AdamW(groups, fused=True),
            [(f"{name}.{parameter}", tensor) for parameter, tensor in model.named_parameters()],
            config.gradient_accumulation_steps,
        )
        self._average = AveragedModel(model, multi_avg_fn=moving_average(config.ema))

    @property
    def average(self) -> torch.nn.Module:
        """The network with the moving average of its parameters."""
        return self._average.module

    def logits(self, batch: Batch) -> Tensor:
        """The logits of the current network, (batch, 2)."""
        logits: Tensor = self.model(batch.inputs[self.name])
        return logits

    def place(self, done: float, factor: float) -> None:
        """Set the share of its steps that are made, and the learning rates to `factor` times those of the config."""
        self.done = done
        for group, rate in zip(self.optimizer.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def passes(self, count: int) -> None:
        """Set the number of backward passes of the next step."""
        self._ranks.passes(self.optimizer, count)

    def zero_grad(self) -> None:
        """Clear the gradients."""
        self.optimizer.zero_grad()

    def update(self) -> None:
        """Step with the gradients of all ranks."""
        self._ranks.step(self.optimizer, self._grad_clip)

    def update_ema(self, step: int) -> None:
        """Update the average; call it at every step of an epoch."""
        if step % EMA_EVERY == 0:
            self._average.update_parameters(self.model)

    def modules(self) -> dict[str, torch.nn.Module]:
        """The modules of a checkpoint, without the optimizer."""
        return {f"{self.name}.model": self.model, f"{self.name}.average": self._average}


def moving_average(decay: float) -> Callable[[Tensors, Tensors, Tensor | int], None]:
    """An exponential moving average whose decay rises from 0.1 to `decay`, so that initial weights fade soon."""

    def update(averaged: Tensors, current: Tensors, updates: Tensor | int) -> None:
        steps = int(updates) * EMA_EVERY
        retained = min(decay, (1 + steps) / (10 + steps)) ** EMA_EVERY
        torch._foreach_lerp_(averaged, current, 1 - retained)

    return update
