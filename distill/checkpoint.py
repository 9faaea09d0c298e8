"""Where a training stands, on disk, so that a run that was killed goes on from there and ends with the same curve.

    FOLDER/epoch-002-step-000500/state.safetensors   student, average, best and optimizer, the same on every rank
                                 rank-0.safetensors  a rank's random state
                                 rank-0.json         its place: epoch, step, sums so far, curve

A checkpoint appears by the rename of a folder that all ranks have written to, so it is there whole or not at all. Ranks
share the file system.
"""

import json
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from distill.errors import BadInput
from distill.plan import Plan
from distill.ranks import Ranks


@dataclass
class Progress:
    """How far a training is: what comes next, this rank's sums over the epoch so far, and the epochs done."""

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    seen: int = 0
    curve: list[dict[str, Any]] = field(default_factory=list)


class Checkpoints:
    """The checkpoints of one training; with no folder nothing is written and nothing found."""

    def __init__(self, folder: str | None, plan: Plan, ranks: Ranks):
        self.folder = Path(folder) if folder else None
        # What must not change between a run and the one that goes on with it.
        self._key = json.loads(json.dumps({**asdict(plan), "ranks": ranks.size}))
        self._ranks = ranks

    def save(
        self, progress: Progress, models: Mapping[str, nn.Module], optimizer: Optimizer, best: dict[str, Tensor]
    ) -> None:
        """Write the state, and remove the one before; every rank calls it."""
        if self.folder is None:
            return
        final = self.folder / f"epoch-{progress.epoch:03d}-step-{progress.step:06d}"
        staged = final.with_suffix(".tmp")
        staged.mkdir(parents=True, exist_ok=True)
        rank = self._ranks.rank
        if rank == 0:
            save_file(flat_state(models, optimizer, best), staged / "state.safetensors")
        save_file({"random": torch.get_rng_state()}, staged / f"rank-{rank}.safetensors")
        place = json.dumps({"plan": self._key, "progress": asdict(progress)})
        (staged / f"rank-{rank}.json").write_text(place, encoding="utf-8")
        self._ranks.total(1, "checkpoint written")  # nobody renames before all have written
        if rank == 0:
            staged.rename(final)
            for other in self.folder.iterdir():
                if other != final:
                    shutil.rmtree(other)
        self._ranks.total(1, "checkpoint in place")

    def load(self, models: Mapping[str, nn.Module], optimizer: Optimizer) -> tuple[Progress, dict[str, Tensor]]:
        """Restore the newest checkpoint into the models and the optimizer; a fresh start where there is none.

        Raises BadInput when it is of another plan or another number of ranks.
        """
        found = sorted(self.folder.glob("epoch-*[0-9]")) if self.folder else []
        if not found:
            return Progress(), {}
        place = json.loads((found[-1] / f"rank-{self._ranks.rank}.json").read_text(encoding="utf-8"))
        if place["plan"] != self._key:
            raise BadInput(f"checkpoint {found[-1]} is of {place['plan']}, not of {self._key}; start a new training")
        state = load_file(found[-1] / "state.safetensors")
        for name, model in models.items():
            model.load_state_dict(part(state, name))
        slots: dict[int, dict[str, Tensor]] = {}
        for name, tensor in part(state, "optimizer").items():
            parameter, slot = name.split(".", 1)
            slots.setdefault(int(parameter), {})[slot] = tensor
        optimizer.load_state_dict({"state": slots, "param_groups": optimizer.state_dict()["param_groups"]})
        torch.set_rng_state(load_file(found[-1] / f"rank-{self._ranks.rank}.safetensors")["random"])
        return Progress(**place["progress"]), part(state, "best")


def flat_state(models: Mapping[str, nn.Module], optimizer: Optimizer, best: dict[str, Tensor]) -> dict[str, Tensor]:
    """All tensors of the state by name, each with memory of its own."""
    state = {f"best.{name}": tensor for name, tensor in best.items()}
    for prefix, model in models.items():
        state |= {f"{prefix}.{name}": tensor for name, tensor in model.state_dict().items()}
    for parameter, slots in optimizer.state_dict()["state"].items():
        state |= {f"optimizer.{parameter}.{slot}": tensor for slot, tensor in slots.items()}
    return {name: tensor.detach().clone() for name, tensor in state.items()}


def part(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name begins with the prefix, without it."""
    return {name.removeprefix(f"{prefix}."): t for name, t in state.items() if name.startswith(f"{prefix}.")}
