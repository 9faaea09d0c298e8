"""Which models may become the champion."""

from collections.abc import Mapping
from typing import Any

from distill.architecture import KIND


def unfit(manifest: Mapping[str, Any]) -> str | None:
    """Why a model may not become the champion; None when it may."""
    if (kind := manifest.get("architecture", {}).get("kind", KIND)) != KIND:
        return f"is a {kind}, which cannot score a day: promote a student"
    chosen = manifest.get("threshold", {})
    if chosen.get("precision", 1) >= (target := chosen.get("target_precision", 0)):
        return None
    found = f"has no threshold with precision {target:g} on valid, {chosen['precision']:.4f} at best"
    return f"{found}: train on more labels, or with a lower --target-precision"
