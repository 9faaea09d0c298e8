"""Peers that are networks of torch: trained by our own loop, with the losses and the settings of our student."""

from collections.abc import Callable
from pathlib import Path

import torch
from peers_data import Data

from distill.data.dataset import Examples, View
from distill.training.config import Outputs, TrainingConfig
from distill.training.learner import Learner
from distill.training.loop import fit
from distill.training.ranks import SingleProcess
from distill.training.schemes import Offline

NAME = "peer"


def train_network(
    model: torch.nn.Module, view: Callable[[list[str]], View], data: Data, config: TrainingConfig, folder: Path
) -> None:
    """Train by the scheme `offline`; a training that was stopped goes on from its checkpoint."""
    ranks = SingleProcess()
    learner = Learner(NAME, model, config, ranks)
    train, valid = (Examples.of(rows, {NAME: view(rows.texts)}) for rows in data.splits[:2])
    fit(Offline(learner, config), [learner], train, valid, config, ranks, Outputs(str(folder / "checkpoints")))
