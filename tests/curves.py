"""Curves of trainings that should be the same, whose sums were made in another order."""

from typing import Any

import numpy as np

# An AUC counts ordered pairs of rows: rounding swaps a pair of nearly equal scores, a step of 0.0004 on 100 rows.
PAIRS = 1e-3


def curve_of(manifest: dict[str, Any]) -> np.ndarray[Any, Any]:
    """Loss, AUC and rows of each epoch: (epochs, 3)."""
    return np.array([[e[name] for name in ("loss", "valid", "rows")] for e in manifest["lineage"]["curve"]])


def assert_alike(one: dict[str, Any], other: dict[str, Any], rtol: float, name: str = "") -> None:
    """Compare two manifests' curves: losses relatively, rows exactly, AUCs up to a few pairs.

    Raises:
        AssertionError: they differ by more.
    """
    (losses, aucs, rows), (same, likewise, seen) = curve_of(one).T, curve_of(other).T
    np.testing.assert_allclose(losses, same, rtol=rtol, err_msg=f"{name} loss")
    np.testing.assert_allclose(aucs, likewise, rtol=0, atol=PAIRS, err_msg=f"{name} AUC")
    assert rows.tolist() == seen.tolist(), name
