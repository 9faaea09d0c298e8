"""Which models may become the champion."""

import pytest

from distill.models.fitness import promotion_blocker


def manifest(precision: float, target: float = 0.95, **architecture: str) -> dict[str, object]:
    return {"architecture": architecture, "threshold": {"precision": precision, "target_precision": target}}


@pytest.mark.parametrize("precision", [0.95, 0.951, 1.0])
def test_a_student_that_reaches_its_target_is_fit(precision: float) -> None:
    assert promotion_blocker(manifest(precision)) is None


def test_one_that_misses_it_is_not_and_says_by_how_much() -> None:
    reason = promotion_blocker(manifest(0.9499))
    assert reason is not None and "precision 0.95 on valid, 0.9499 at best" in reason and "--target-precision" in reason


def test_a_teacher_is_not_however_precise() -> None:
    assert "cannot score a day" in (promotion_blocker(manifest(1.0, kind="bert")) or "")


def test_a_model_from_before_targets_were_kept_is_fit() -> None:
    assert promotion_blocker({}) is None and promotion_blocker({"threshold": {"value": 0.5}}) is None
