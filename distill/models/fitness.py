"""Which models may become the champion."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from distill.errors import BadModel
from distill.models.architecture import KIND


@dataclass(frozen=True)
class Bounds:
    """The limits of a challenger. Losses are differences in recall, from 0 to 1; the others are ratios."""

    recall_loss: float = 0.005  # of all rows, at the bound below the paired difference
    recall_loss_with_nights: float = 0.03  # of the same, where labels of nights have their say
    coverage: float = 0.9  # of what the champion catches
    source_loss: float = 0.1  # of any one source
    slower: float = 1.5
    larger: float = 2.0


def threshold_of(section: Mapping[str, Any]) -> np.float32:
    """The lowest score of a valid complaint, from the manifest's section; raises BadModel when it is missing."""
    value = section.get("value")
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise BadModel("the manifest has no threshold between 0 and 1; train the model again")
    return np.float32(value)


def promotion_blocker(manifest: Mapping[str, Any]) -> str | None:
    """Why a model may not become the champion; None when it may."""
    if (kind := manifest.get("architecture", {}).get("kind", KIND)) != KIND:
        return f"is a {kind}, which cannot score a day: promote a student"
    chosen = manifest.get("threshold", {})
    if chosen.get("precision", 1) >= (target := chosen.get("target_precision", 0)):
        return None
    cause = f"has no threshold with precision {target:g} on valid, {chosen['precision']:.4f} at best"
    return f"{cause}: train on more labels, or with a lower --target-precision"
