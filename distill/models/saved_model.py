"""One version of the registry, as `Registry.load` gives it."""

from dataclasses import dataclass

import numpy as np

from distill.models.bundle import Bundle
from distill.models.fitness import threshold_of


@dataclass(frozen=True)
class SavedModel:
    """A model whose every byte has been checked: its version, the bundle's path, the bundle."""

    version: str
    path: str
    bundle: Bundle

    @property
    def threshold(self) -> np.float32:
        """The lowest score of a valid complaint. Raises BadModel when the manifest has none."""
        return threshold_of(self.bundle.manifest.get("threshold") or {})
