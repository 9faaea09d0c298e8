"""The origin of a model, for its manifest."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from distill.models.packages import PACKAGES, installed
from distill.training.config import TrainingConfig
from distill.training.loop import Epoch
from distill.training.ranks import ProcessGroup


def lineage(
    known: Mapping[str, Any], config: TrainingConfig, ranks: ProcessGroup, curve: Sequence[Epoch]
) -> dict[str, Any]:
    """The section `lineage`: facts of the data from the caller, the config, the curve and package versions."""
    return {
        **known,
        "training": {**asdict(config), "ranks": ranks.size},
        "curve": [asdict(epoch) for epoch in curve],
        "packages": {name: version for name in PACKAGES if (version := installed(name))},
        "python": platform.python_version(),
    }
