import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from distill.errors import BadInput
from distill.evaluation import metrics

# Few distinct scores, so that most examples hold ties.
ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 6)), min_size=2, max_size=40).filter(
    lambda rows: len({label for label, _ in rows}) == 2
)


def lowest_by_definition(rows: list[tuple[int, int]], target: float) -> int | None:
    """Try every score as a threshold, counting in plain Python."""
    good = []
    for threshold in {score for _, score in rows}:
        chosen = [label for label, score in rows if score >= threshold]
        if sum(chosen) / len(chosen) >= target:
            good.append(threshold)
    return min(good, default=None)


@settings(deadline=None)
@given(rows=ROWS, target=st.sampled_from([0.3, 0.5, 0.75, 0.8, 0.95, 1.0]))
def test_threshold_is_the_lowest_that_reaches_the_precision(rows, target):
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    expected = lowest_by_definition(rows, target)
    threshold = metrics.threshold_at_precision(labels, scores / 8, target)
    assert threshold.reached is (expected is not None)
    if expected is None:
        assert lowest_by_definition(rows, threshold.precision) == threshold.value * 8
        assert lowest_by_definition(rows, np.nextafter(threshold.precision, 1)) is None
        return
    assert threshold.value == expected / 8
    chosen = labels[scores >= expected]
    assert (threshold.selected, threshold.positives, threshold.rows) == (len(chosen), labels.sum(), len(rows))
    assert threshold.precision == chosen.sum() / len(chosen) >= target
    assert threshold.recall == chosen.sum() / labels.sum()
    assert threshold.precision_lower <= threshold.precision <= threshold.precision_upper


def test_threshold_skips_a_dip_below_the_target_and_takes_ties_whole():
    labels = np.array([1, 0, 1, 1, 1, 0, 1, 0])
    scores = np.array([9, 8, 7, 6, 5, 4, 4, 3])
    # precision from the top: 1, 1/2, 2/3, 3/4, 4/5, then the tie 5/7, then 5/8
    assert metrics.threshold_at_precision(labels, scores, 0.8).value == 5
    assert metrics.threshold_at_precision(labels, scores, 0.7).value == 4
    assert metrics.threshold_at_precision(labels, scores, 0.9).value == 9


def test_nineteen_of_twenty_is_95_percent():
    labels = np.array([1] * 19 + [0] * 2)
    scores = np.array([0.9] * 19 + [0.8, 0.1])
    assert metrics.threshold_at_precision(labels, scores).value == 0.8


def test_out_of_reach_the_best_precision_is_taken_and_told():
    threshold = metrics.threshold_at_precision(np.array([1, 1, 0, 0]), np.array([0.5, 0.5, 0.5, 0.1]))
    assert (threshold.value, threshold.selected, threshold.reached) == (0.5, 3, False)
    assert threshold.precision == pytest.approx(2 / 3) and threshold.target_precision == 0.95


def test_a_stored_threshold_selects_the_same_rows_again():
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 5000)
    scores = (rng.normal(size=5000) + labels).astype(np.float32)
    chosen = metrics.threshold_at_precision(labels, scores, 0.9)
    again = metrics.precision_recall_at(labels, scores, chosen.value)
    assert (again.precision, again.recall, again.selected) == (
        chosen.precision,
        chosen.recall,
        chosen.selected,
    )
    assert chosen.value == float(np.float32(chosen.value))


def test_scores_meet_a_threshold_as_in_sql_where_both_are_doubles():
    scores = np.array([0.51, 0.6], dtype=np.float32)  # the float32 next to 0.51 lies below it
    assert metrics.precision_recall_at(np.array([1, 1]), scores, 0.51).selected == 1


@settings(deadline=None)  # the first call of scipy is slow
@given(st.integers(0, 400), st.integers(0, 400))
def test_wilson_holds_the_share_and_agrees_with_scipy(a, b):
    successes, trials = min(a, b), max(a, b)
    lower, upper = metrics.wilson(successes, trials)
    if trials == 0:
        assert (lower, upper) == (0.0, 1.0)
        return
    expected = binomtest(successes, trials).proportion_ci(0.95, method="wilson")
    assert (lower, upper) == pytest.approx((expected.low, expected.high), abs=1e-12)
    assert 0 <= lower <= successes / trials <= upper <= 1


@settings(deadline=None)
@given(ROWS)
def test_auc_is_the_share_of_pairs_in_the_right_order(rows):
    labels, scores = (np.array(column) for column in zip(*rows, strict=True))
    pairs = [(p > n) + 0.5 * (p == n) for p in scores[labels == 1] for n in scores[labels == 0]]
    assert metrics.auc(labels, scores) == pytest.approx(sum(pairs) / len(pairs))


def test_precision_and_recall_are_none_when_nothing_is_selected_or_true():
    at = metrics.precision_recall_at(np.array([0, 0]), np.array([0.1, 0.2]), 0.5)
    assert (at.precision, at.recall) == (None, None)
    assert (at.precision_lower, at.precision_upper, at.recall_lower, at.recall_upper) == (0, 1, 0, 1)


def test_by_group_reports_each_source_alone():
    labels = np.array([1, 0, 1, 1, 1])
    scores = np.array([0.9, 0.8, 0.1, 0.7, 0.2])
    groups = np.array(["微博", "微博", "微博", "热线", "热线"])
    assert metrics.by_group(labels, scores, groups, 0.5) == {
        "微博": {"rows": 3, "positives": 2, "auc": 0.5, "precision": 0.5, "recall": 0.5},
        "热线": {"rows": 2, "positives": 2, "auc": None, "precision": 1.0, "recall": 0.5},
    }


def test_coverage_churn_and_negative_flips_count_what_they_say():
    labels = np.array([1, 1, 1, 0, 0, 0, 1, 0])
    old = np.array([1, 1, 0, 0, 1, 0, 1, 0], dtype=bool)
    new = np.array([1, 0, 1, 1, 0, 0, 1, 0], dtype=bool)
    assert metrics.coverage(labels, old, new) == 2 / 3  # rows 0, 1, 6 were caught; row 1 is lost
    assert metrics.churn(old, new) == 4 / 8  # rows 1 to 4
    assert metrics.negative_flips(labels, old, new) == 2 / 8  # rows 1 and 3 became wrong; 2 and 4 right
    assert metrics.coverage(labels, np.zeros(8, dtype=bool), new) is None


@pytest.mark.parametrize(
    ("labels", "scores", "message"),
    [
        ([0, 1], [0.5, float("nan")], "1 of 2 scores are NaN or infinite"),
        ([0, 1], [0.5, float("inf")], "1 of 2 scores are NaN or infinite"),
        ([1, 1], [0.5, 0.6], "all 2 labels are 1: rows of both classes"),
        ([0, 0], [0.5, 0.6], "all 2 labels are 0: rows of both classes"),
        ([0, 2], [0.5, 0.6], "labels must be 0 or 1"),
        ([0, float("nan")], [0.5, 0.6], "labels must be 0 or 1"),
        ([0, 1, 1], [0.5, 0.6], r"same length: shapes \(3,\) and \(2,\)"),
        ([[0, 1]], [[0.5, 0.6]], r"shape \(1, 2\)"),
        ([0, 1], [[0.5, 0.6], [0.4, 0.5]], "same length"),
        ([], [], "at least one"),
        ([0, 1], ["a", "b"], "scores must be numbers"),
    ],
)
def test_rows_that_cannot_be_measured_are_refused(labels, scores, message):
    for measure in (metrics.auc, metrics.threshold_at_precision):
        with pytest.raises(BadInput, match=message):
            measure(np.array(labels), np.array(scores))


@pytest.mark.parametrize("target", [0, -0.1, 1.01, float("nan")])
def test_a_target_precision_out_of_range_is_refused(target):
    with pytest.raises(BadInput, match="target precision"):
        metrics.threshold_at_precision(np.array([0, 1]), np.array([0.1, 0.2]), target)


def test_decisions_must_be_bool_and_of_one_length():
    yes = np.array([True, False])
    with pytest.raises(BadInput, match="must be a row of bool, not float64"):
        metrics.churn(yes, np.array([0.2, 0.7]))
    with pytest.raises(BadInput, match="same length"):
        metrics.negative_flips(np.array([1, 0, 1]), yes, yes)
    with pytest.raises(BadInput, match="same length"):
        metrics.churn(yes, np.array([True]))
    with pytest.raises(BadInput, match="threshold nan"):
        metrics.precision_recall_at(np.array([1, 0]), np.array([0.1, 0.2]), float("nan"))
    with pytest.raises(BadInput, match="same length"):
        metrics.by_group(np.array([1, 0]), np.array([0.1, 0.2]), np.array(["a"]), 0.5)
