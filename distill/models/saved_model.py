"""One version of the registry, as `Registry.load` gives it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill.models.bundle import Bundle
from distill.models.fitness import threshold_of


@dataclass(frozen=True)
class SavedModel:
    """A model whose every byte has been checked: its version, the bundle's path, the bundle.

    operating: the champion's threshold, as `Switch.operating`; None where the bundle's own holds.
    """

    version: str
    path: str
    bundle: Bundle
    operating: Mapping[str, Any] | None = None

    @property
    def threshold(self) -> np.float32:
        """The lowest score of a valid complaint. Raises BadModel when neither registry nor manifest has one."""
        return threshold_of(self.operating or self.bundle.manifest.get("threshold") or {})
