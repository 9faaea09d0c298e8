"""The checks of a promotion: recall with its bound, coverage, sources, speed, size, each for a reason of its own."""

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill.data.labelled import TextRows
from distill.evaluation.comparison import (
    Bounds,
    Ranked,
    compare,
    lower_bound,
    recall_check,
    source_check,
    threshold_check,
)
from distill.models.bundle import Bundle
from distill.scoring.scorer import Scorer
from distill.text.text_batch import normalise_batch
from tests.jobs.tiny_model import TEXTS, tiny_bundle

TARGET = 0.8


def brute_recall(labels: np.ndarray, scores: np.ndarray, target: float) -> float:
    """By every threshold there is."""
    best = 0.0
    for threshold in scores:
        chosen = scores >= threshold
        if labels[chosen].mean() >= target:
            best = max(best, float(labels[chosen].sum() / labels.sum()))
    return best


rows = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6), st.integers(0, 3)), min_size=1, max_size=30).filter(
    lambda drawn: any(label and times for label, _, times in drawn)
)


@given(rows, st.sampled_from([0.5, 0.8, 1.0]))
def test_recall_at_precision_is_the_best_of_all_thresholds_and_a_weight_repeats_a_row(rows, target: float) -> None:  # type: ignore[no-untyped-def]
    labels, scores, times = (np.array(column) for column in zip(*rows, strict=True))
    scores = scores.astype(np.float32)
    repeated = brute_recall(labels.repeat(times), scores.repeat(times), target)
    assert Ranked(labels, scores).recall(target, times) == pytest.approx(repeated)
    if labels.any():
        assert Ranked(labels, scores).recall(target) == pytest.approx(brute_recall(labels, scores, target))


def drawn(count: int, strength: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Labels, and scores that tell them with a strength; the noise is the same for one seed."""
    random = np.random.default_rng(seed)
    labels = (random.random(count) < 0.3).astype(np.int64)
    return labels, (labels * strength + random.normal(size=count)).astype(np.float32)


def test_a_better_model_passes_a_worse_one_does_not_and_the_same_is_within_its_bound() -> None:
    labels, weak = drawn(3000, 2.0, 0)
    strong = drawn(3000, 2.6, 0)[1]
    assert lower_bound(labels, weak, strong, TARGET) > 0.03
    assert recall_check(labels, weak, strong, TARGET, 0.005).passed
    worse = recall_check(labels, strong, weak, TARGET, 0.005)
    assert not worse.passed and worse.value < -0.05
    assert f"the champion's {Ranked(labels, strong).recall(TARGET):.4f}" in worse.reason
    assert lower_bound(labels, weak, weak, TARGET) == 0


def test_few_rows_do_not_prove_that_recall_stays() -> None:
    """A better model with errors of its own: a hundred rows leave a doubt that thousands do not."""
    for count, proven in ((20_000, True), (100, False)):
        labels, old = drawn(count, 2.0, 1)
        new = (labels * 2.4 + np.random.default_rng(2).normal(size=count)).astype(np.float32)
        assert recall_check(labels, old, new, TARGET, 0.005).passed is proven


def test_the_source_that_loses_most_is_named_and_small_ones_do_not_decide() -> None:
    sources = np.array(["shop"] * 60 + ["hotline"] * 60 + ["tiny"] * 9)
    rows = TextRows([""] * 129, np.ones(129, np.int64), sources, np.empty((129, 0, 2), np.float32))
    old = np.ones(129, np.bool_)
    new = old.copy()
    new[[0, 1, 2, *range(60, 75), *range(120, 129)]] = False
    worst = source_check(rows, old, new, 0.1)
    assert not worst.passed and worst.value == pytest.approx(15 / 60)
    assert "of 2 sources hotline" in worst.reason and "-0.2500 (at least -0.1000)" in worst.reason
    assert source_check(rows, old, new, 0.3).passed
    few = TextRows([""] * 9, np.ones(9, np.int64), sources[-9:], np.empty((9, 0, 2), np.float32))
    assert source_check(few, old[-9:], new[-9:], 0.1).passed


def held_out(truth: Bundle) -> TextRows:
    """Texts that one model labels."""
    random = np.random.default_rng(0)
    letters = list("".join(TEXTS))
    texts = normalise_batch(["".join(random.choice(letters, 12)) for _ in range(400)])
    scores = Scorer(truth).score(texts).scores
    labels = (scores >= np.median(scores)).astype(np.int64)
    return TextRows(texts, labels, np.array(["web"] * 400), np.empty((400, 0, 2), np.float32))


def test_a_challenger_that_knows_the_labels_passes_and_the_other_way_round_it_fails() -> None:
    good, bad = tiny_bundle(1), tiny_bundle(2)
    rows = held_out(good)
    level = float(np.median(Scorer(good).score(rows.texts).scores))
    good.manifest["threshold"]["value"] = level
    easy = Bounds(slower=50.0)
    up = {check.name: check for check in compare(bad, good, rows, TARGET, easy)}
    assert list(up) == ["recall", "coverage", "sources", "speed", "size"]
    assert all(check.passed for check in up.values()), up
    down = {check.name: check for check in compare(good, bad, rows, TARGET, easy)}
    assert not down["recall"].passed and not down["coverage"].passed and not down["sources"].passed
    assert down["speed"].passed and down["size"].value == pytest.approx(1.0)
    caught = {name: Scorer(b).score(rows.texts).scores >= Scorer(b).threshold for name, b in (("g", good), ("b", bad))}
    complaints = rows.labels == 1
    assert down["coverage"].value == pytest.approx(caught["b"][complaints & caught["g"]].mean())


def test_a_large_or_slow_challenger_fails_for_that_alone() -> None:
    model = tiny_bundle(1)
    rows = held_out(model)
    heavy = replace(model, files={**model.files, "vocabulary": model.files["vocabulary"] + b" " * 200_000})
    names = {check.name for check in compare(model, heavy, rows, TARGET, Bounds(slower=50.0)) if not check.passed}
    assert names == {"size"}
    names = {check.name for check in compare(model, model, rows, TARGET, Bounds(slower=0.0)) if not check.passed}
    assert names == {"speed"}


def test_a_threshold_that_is_not_precise_enough_fails() -> None:
    model = tiny_bundle(1)
    assert threshold_check(model).passed
    model.manifest["threshold"]["precision"] = 0.9
    check = threshold_check(model)
    assert not check.passed and (check.value, check.bound) == (0.9, 0.95)
    assert check.reason.startswith("has no threshold with precision 0.95 on valid, 0.9000 at best")


def test_a_check_is_json() -> None:
    model = tiny_bundle(1)
    checks = compare(model, model, held_out(model), TARGET, Bounds(slower=50.0))
    assert json.dumps([vars(check) for check in checks])
