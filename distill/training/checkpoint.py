"""The state of a training on disk, from which a killed run continues and ends with the same curve.

    FOLDER/epoch-002-step-000500/state.safetensors   models, averages, best and optimizers, the same on every rank
                                 rank-0.safetensors  a rank's random state, and what its scheme keeps
                                 rank-0.json         its place: epoch, step, sums so far, curve
    FOLDER/route/step-000120.safetensors             an anchor point: the averaged model after so many steps

A checkpoint appears by the rename of a folder that all ranks have written to, so it is complete or absent. Ranks share
the file system.
"""

import json
import re
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from distill.errors import BadInput
from distill.training.config import TrainingConfig
from distill.training.learner import Learner
from distill.training.ranks import ProcessGroup
from distill.training.schemes import Scheme

# Other files in the folders are ignored.
PLACE, ANCHOR = re.compile(r"epoch-\d+-step-\d+"), re.compile(r"step-(\d+)\.safetensors")


@dataclass
class Progress:
    """The progress of a training: the next step, this rank's sums over the epoch so far, and the finished epochs."""

    epoch: int = 1
    step: int = 0
    loss: float = 0.0
    seen: dict[str, int] = field(default_factory=dict)  # rows, by the name of the learner that saw them
    curve: list[dict[str, Any]] = field(default_factory=list)

    @property
    def total_seen(self) -> int:
        """Rows that learners saw, all together."""
        return sum(self.seen.values())


class Checkpoints:
    """The checkpoints of one training; without a folder nothing is written or read."""

    def __init__(self, folder: str | None, config: TrainingConfig, ranks: ProcessGroup):
        self.folder = Path(folder) if folder else None
        # A run that continues another must have the same values.
        self._key = json.loads(json.dumps({**asdict(config), "ranks": ranks.size}))
        self._ranks = ranks

    def save(self, progress: Progress, learners: Sequence[Learner], scheme: Scheme, best: Mapping[str, Tensor]) -> None:
        """Write the state and remove the previous one; every rank calls it."""
        if self.folder is None:
            return
        final = self.folder / f"epoch-{progress.epoch:03d}-step-{progress.step:06d}"
        staged = final.with_suffix(".tmp")
        staged.mkdir(parents=True, exist_ok=True)
        rank = self._ranks.rank
        if rank == 0:
            save_file(flat_state(learners, best), staged / "state.safetensors")
        own = {f"scheme.{name}": tensor.contiguous() for name, tensor in scheme.state().items()}
        save_file(random_state(self._ranks.device) | own, staged / f"rank-{rank}.safetensors")
        place = json.dumps({"config": self._key, "progress": asdict(progress)})
        (staged / f"rank-{rank}.json").write_text(place, encoding="utf-8")
        self._ranks.total(1, "checkpoint written")  # rename only after all ranks have written
        if rank == 0:
            staged.rename(final)
            for other in self.folder.glob("epoch-*"):
                if other != final and PLACE.fullmatch(other.name.removesuffix(".tmp")):
                    shutil.rmtree(other)
        self._ranks.total(1, "checkpoint in place")

    def load(self, learners: Sequence[Learner], scheme: Scheme) -> tuple[Progress, dict[str, Tensor]]:
        """Restore the newest checkpoint into learners and scheme; returns the progress and the best averages so far.

        Without a checkpoint the training starts fresh. Raises BadInput for one of another config or number of ranks.
        """
        folders = sorted(p for p in self.folder.glob("epoch-*") if PLACE.fullmatch(p.name)) if self.folder else []
        if not folders:
            return Progress(), {}
        place = json.loads((folders[-1] / f"rank-{self._ranks.rank}.json").read_text(encoding="utf-8"))
        if place["config"] != self._key:
            raise BadInput(
                f"checkpoint {folders[-1]} is of {place['config']}, not of {self._key}; start a new training"
            )
        state = load_file(folders[-1] / "state.safetensors", str(self._ranks.device))
        for learner in learners:
            for name, module in learner.modules().items():
                module.load_state_dict(with_prefix(state, name))
            slots: dict[int, dict[str, Tensor]] = {}
            for name, tensor in with_prefix(state, f"{learner.name}.optimizer").items():
                parameter, slot = name.split(".", 1)
                slots.setdefault(int(parameter), {})[slot] = tensor
            groups = learner.optimizer.state_dict()["param_groups"]
            learner.optimizer.load_state_dict({"state": slots, "param_groups": groups})
        random = load_file(folders[-1] / f"rank-{self._ranks.rank}.safetensors")
        torch.set_rng_state(random["cpu"])
        if "cuda" in random:
            torch.cuda.set_rng_state(random["cuda"], self._ranks.device)
        scheme.load_state(with_prefix(random, "scheme"))
        return Progress(**place["progress"]), with_prefix(state, "best")

    def save_anchor(self, learner: Learner, step: int) -> None:
        """Write an anchor point of the learner's route; only rank 0 does."""
        if self.folder is None or self._ranks.rank:
            return
        (self.folder / "route").mkdir(parents=True, exist_ok=True)
        state = {name: tensor.cpu().clone() for name, tensor in learner.average.state_dict().items()}
        save_file(state, self.folder / "route" / f"step-{step:06d}.safetensors")

    def route(self) -> dict[int, dict[str, Tensor]]:
        """The tensors of the anchor points by step, in order."""
        files = sorted(self.folder.glob("route/step-*.safetensors")) if self.folder else []
        return {int(step[1]): load_file(file) for file in files if (step := ANCHOR.fullmatch(file.name))}


def flat_state(learners: Sequence[Learner], best: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """All tensors of the state by name, each with its own memory; tensors that share memory are copied."""
    state = {f"best.{name}": tensor for name, tensor in best.items()}
    for learner in learners:
        for prefix, module in learner.modules().items():
            state |= {f"{prefix}.{name}": tensor for name, tensor in module.state_dict().items()}
        for parameter, slots in learner.optimizer.state_dict()["state"].items():
            state |= {f"{learner.name}.optimizer.{parameter}.{slot}": tensor for slot, tensor in slots.items()}
    owned, seen = {}, set[int]()
    for name, tensor in state.items():
        place = tensor.untyped_storage().data_ptr()
        shared = place in seen or tensor.untyped_storage().nbytes() > tensor.nbytes
        owned[name] = (tensor.detach().clone() if shared else tensor.detach()).contiguous()
        seen.add(place)
    return owned


def random_state(device: torch.device) -> dict[str, Tensor]:
    """The state of the random generators that a rank draws dropout from."""
    state = {"cpu": torch.get_rng_state()}
    return state | {"cuda": torch.cuda.get_rng_state(device)} if device.type == "cuda" else state


def with_prefix(state: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    """The tensors whose name begins with the prefix, which is removed."""
    return {name.removeprefix(f"{prefix}."): t for name, t in state.items() if name.startswith(f"{prefix}.")}
