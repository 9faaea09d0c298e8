"""The processes that train together, as the training loop sees them: who am I, how many are we, and three exchanges.

`Alone` is a single process and needs nothing installed. `HorovodRanks` is one of several, started by a job
(`jobs/launch.py`). Another backend is another class of these few methods.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.optim import Optimizer


class Ranks(Protocol):
    """What the training loop knows of the other processes; every rank must make the same calls in the same order."""

    rank: int
    size: int

    def optimizer(self, optimizer: Optimizer, parameters: Iterable[tuple[str, Tensor]]) -> Optimizer:
        """The optimizer, its gradients summed over all ranks before each step.

        Names of parameters are unique over all optimizers of a rank, such as "student.output.weight".
        """
        ...

    def broadcast(self, tensors: dict[str, Tensor]) -> None:
        """Overwrite the tensors with those of rank 0."""
        ...

    def gather(self, rows: Tensor, name: str) -> Tensor:
        """The rows of all ranks one after the other, on every rank; ranks may have different numbers of rows."""
        ...

    def total(self, value: float, name: str) -> float:
        """The sum over all ranks, on every rank."""
        ...


class Alone:
    """A single process."""

    rank, size = 0, 1

    def optimizer(self, optimizer: Optimizer, parameters: Iterable[tuple[str, Tensor]]) -> Optimizer:
        """Nothing to sum."""
        return optimizer

    def broadcast(self, tensors: dict[str, Tensor]) -> None:
        """Nothing to send."""

    def gather(self, rows: Tensor, name: str) -> Tensor:
        """The rows themselves."""
        return rows

    def total(self, value: float, name: str) -> float:
        """The value itself."""
        return value


class HorovodRanks:
    """One of the processes that Horovod started; `close` it at the end."""

    def __init__(self) -> None:
        import horovod.torch as hvd  # only a rank needs it

        hvd.init()
        self._hvd: Any = hvd
        self.rank: int = hvd.rank()
        self.size: int = hvd.size()
        self.local_rank: int = hvd.local_rank()

    def optimizer(self, optimizer: Optimizer, parameters: Iterable[tuple[str, Tensor]]) -> Optimizer:
        """A DistributedOptimizer that sums: the losses are shares of the mean over the batch of all ranks."""
        wrapped: Optimizer = self._hvd.DistributedOptimizer(
            optimizer, named_parameters=list(parameters), op=self._hvd.Sum
        )
        return wrapped

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
