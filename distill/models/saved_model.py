"""One version of the registry, as `Registry.load` returns it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill.models.bundle import Bundle
from distill.models.fitness import threshold_of


@dataclass(frozen=True)
class SavedModel:
    """A verified model: its version, the bundle's path, the bundle.

    operating: the champion's threshold, as `Switch.operating`; None for the bundle's own.
    """

    version: str
    path: str
    bundle: Bundle
    operating: Mapping[str, Any] | None = None

    @property
    def threshold(self) -> np.float32:
        """The lowest score of a valid complaint. Raises BadModel when neither registry nor manifest has one."""
        return threshold_of(self.operating or self.bundle.manifest.get("threshold") or {})
