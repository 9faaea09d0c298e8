"""CPU seconds of everything that a model needed: its training, that of its teachers, and their stored logits."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from distill.models.precision import precision_of
from distill.models.registry import Registry
from distill.scoring.logits import teacher_of

SAMPLE = 1024  # texts whose logits are timed


class SchemeCosts:
    """Costs of the versions of a registry; texts: those that trainings with stored logits learn from."""

    def __init__(self, registry: Registry, texts: Sequence[str]):
        self.registry, self.texts = registry, texts
        self._logits: dict[str, float] = {}

    def total(self, manifest: Mapping[str, Any]) -> float:
        """The training of a model and all that it learned from, each teacher's training once; no validation.

        An anchor of a route costs its logits alone, in addition to the training that it is part of. The teacher that
        trained along in a joint scheme is part of the student's curve.
        """
        lineage = manifest["lineage"]
        stored = [teacher["version"] for teacher in lineage.get("teachers", [])]
        trained = dict.fromkeys(self.training_of(version) for version in stored)
        if "warm_start" in lineage:
            trained[lineage["warm_start"]] = None
        features = lineage.get("teacher_features", {}).get("cpu_seconds", 0.0)
        # A curve of an older version does not tell its validation apart.
        steps = sum(epoch["cpu_seconds"] - epoch.get("validation_cpu_seconds", 0) for epoch in lineage["curve"])
        own = steps + features
        return float(own + sum(map(self.total, map(self.manifest, trained))) + sum(map(self.logits, stored)))

    def manifest(self, version: str) -> dict[str, Any]:
        """The manifest of a version."""
        return self.registry.load(version).bundle.manifest

    def training_of(self, version: str) -> str:
        """The version whose training made this one: of an anchor, the final teacher."""
        return str(self.manifest(version)["lineage"].get("route_of", version))

    def logits(self, version: str) -> float:
        """The cost of a teacher's logits of all texts in the fastest precision, timed once on a sample."""
        if version not in self._logits:
            precision = precision_of("auto", torch.device("cpu"))
            teacher = teacher_of(self.registry.load(version).bundle, precision)
            sample = list(self.texts[:: max(1, len(self.texts) // SAMPLE)])
            cpu = time.process_time()
            teacher.logits(sample)
            self._logits[version] = (time.process_time() - cpu) * len(self.texts) / max(1, len(sample))
        return self._logits[version]
