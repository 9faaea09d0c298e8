"""The processes of a training as the loop uses them: rank, size and collective operations.

`SingleProcess` needs nothing installed. `HorovodProcessGroup` is one of several processes that a job has started
(`jobs/training/launch.py`). Another backend is another class with these methods.
"""

import os
from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer


class ProcessGroup(Protocol):
    """Collective operations; every rank must make the same calls in the same order."""

    rank: int
    size: int
    device: torch.device
    sparse: bool  # whether embeddings get gradients of the looked-up rows only

    def optimizer(self, optimizer: Optimizer, parameters: Iterable[tuple[str, Tensor]], passes: int) -> Optimizer:
        """The optimizer, whose gradients are summed over all ranks after `passes` backward passes; `step` then updates.

        Names of parameters are unique over all optimizers of a rank, such as "student.output.weight".
        """
        ...

    def passes(self, optimizer: Optimizer, count: int) -> None:
        """Sum the gradients of the next step after `count` backward passes."""
        ...

    def step(self, optimizer: Optimizer, grad_clip: float) -> None:
        """Update the parameters; a gradient, summed over all ranks, with a norm above `grad_clip` is scaled down to it.

        A `grad_clip` of 0 leaves every gradient as it is.
        """
        ...

    def broadcast(self, tensors: dict[str, Tensor]) -> None:
        """Overwrite the tensors with those of rank 0."""
        ...

    def gather(self, rows: Tensor, name: str) -> Tensor:
        """The rows of all ranks, concatenated, on every rank; ranks may have different numbers of rows."""
        ...

    def total(self, value: float, name: str) -> float:
        """The sum over all ranks, on every rank."""
        ...


class SingleProcess:
    """A single process."""

    rank, size, sparse = 0, 1, False

    def __init__(self) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")

    def optimizer(self, optimizer: Optimizer, parameters: Iterable[tuple[str, Tensor]], passes: int) -> Optimizer:
        """Nothing to sum."""
        return optimizer

    def passes(self, optimizer: Optimizer, count: int) -> None:
        """Nothing to sum."""

    def step(self, optimizer: Optimizer, grad_clip: float) -> None:
        """Clip and update."""
        clip_gradients(optimizer, grad_clip)
        optimizer.step()

    def broadcast(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to send."""

    def gather(self, rows: Tensor, name: str) -> Tensor:
        """The rows themselves."""
        return rows

    def total(self, value: float, name: str) -> float:
        """The value itself."""
        return value


class HorovodProcessGroup:
    """One of the processes that Horovod started; `close` it at the end."""

    def __init__(self) -> None:
        # Milliseconds between two checks for tensors to exchange: a student's step takes about twenty.
        os.environ.setdefault("HOROVOD_CYCLE_TIME", "0.2")
        import horovod.torch as hvd  # only a rank needs it

        hvd.init()
        self._hvd: Any = hvd
        self.rank: int = hvd.rank()
        self.size: int = hvd.size()
        # A rank may see the GPUs of all ranks of its host, or only its own.
        gpus = torch.cuda.device_count()
        self.device = torch.device("cuda", hvd.local_rank() % gpus) if gpus else torch.device("cpu")
        # A batch looks up a few thousand of an embedding's rows, and only those are exchanged. On GPUs all rows are: a
        # sparse sum there has no fixed order, so ranks would diverge, and the links are fast.
        self.sparse = not gpus

    def optimizer(self, optimizer: Optimizer, parameters: Iterable[tuple[str, Tensor]], passes: int) -> Optimizer:
        """A DistributedOptimizer that sums: the losses are shares of the mean over the batch of all ranks."""
        wrapped: Optimizer = self._hvd.DistributedOptimizer(
            optimizer, named_parameters=list(parameters), op=self._hvd.Sum, backward_passes_per_step=passes
        )
        return wrapped

    def passes(self, optimizer: Any, count: int) -> None:
        """The passes of the next step."""
        optimizer.set_backward_passes_per_step(count)

    def step(self, optimizer: Any, grad_clip: float) -> None:
        """Wait for the sums of the gradients, clip and update."""
        optimizer.synchronize()
        for parameter in parameters_of(optimizer):
            if parameter.grad is not None and parameter.grad.is_sparse:
                parameter.grad = parameter.grad.to_dense()  # the optimizer needs it dense
        clip_gradients(optimizer, grad_clip)
        with optimizer.skip_synchronize():
            optimizer.step()

    def broadcast(self, tensors: dict[str, Tensor]) -> None:
        """From rank 0, by name."""
        self._hvd.broadcast_parameters(tensors, root_rank=0)

    def gather(self, rows: Tensor, name: str) -> Tensor:
        """Horovod's ragged allgather."""
        gathered: Tensor = self._hvd.allgather(rows.contiguous(), name=name)
        return gathered

    def total(self, value: float, name: str) -> float:
        """In double precision."""
        summed = self._hvd.allreduce(torch.tensor([value], dtype=torch.float64), op=self._hvd.Sum, name=name)
        return float(summed)

    def close(self) -> None:
        """Leave the ring."""
        self._hvd.shutdown()


def clip_gradients(optimizer: Optimizer, grad_clip: float) -> None:
    """Scale the gradients of all parameters down together to a norm of `grad_clip`; 0 leaves them."""
    if grad_clip:
        torch.nn.utils.clip_grad_norm_(parameters_of(optimizer), grad_clip)


def parameters_of(optimizer: Optimizer) -> list[Tensor]:
    """All parameters of an optimizer."""
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]
