"""Scalars of a training for TensorBoard, where it is installed."""

import importlib.util
from collections.abc import Mapping

EVERY = 20  # steps


class TensorBoardWriter:
    """Writes to a folder for TensorBoard; without a folder, or without tensorboard, it writes nothing."""

    def __init__(self, folder: str | None):
        self._writer = None
        if folder and importlib.util.find_spec("tensorboard"):
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(folder)

    def step(self, step: int, scalars: Mapping[str, float]) -> None:
        """Write the scalars of every EVERY-th step."""
        if self._writer and step % EVERY == 0:
            for name, value in scalars.items():
                self._writer.add_scalar(f"step/{name}", value, step)

    def epoch(self, epoch: int, scalars: Mapping[str, float]) -> None:
        """Write the scalars of an epoch."""
        if self._writer:
            for name, value in scalars.items():
                self._writer.add_scalar(f"epoch/{name}", value, epoch)
            self._writer.flush()
