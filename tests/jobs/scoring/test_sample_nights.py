"""Which labels of which nights count for a model's threshold, and as what."""

from datetime import UTC, datetime
from typing import Any

import pandas as pd
import pytest

from distill.evaluation.certification import precision
from jobs.scoring.bands import BANDS
from jobs.scoring.calibration import by_source, calibrate, certification_lines, evidence, label_lines, learned_at
from jobs.scoring.sample_candidates import bands_of, stratum_name
from jobs.scoring.sample_nights import CANDIDATES, counts, usable

LEARNED = datetime(2026, 11, 9, tzinfo=UTC)
LATER = int(datetime(2026, 11, 12, tzinfo=UTC).timestamp() * 1e6)


def sample(
    dt: str,
    groups: list[tuple[float, int, int, int]],
    run: str = "r1",
    threshold: float = 0.75,
    reader: str | None = None,
) -> pd.DataFrame:
    """The sampled rows of a night: of each group a score, the rows of its stratum, complaints, junk."""
    rows: list[dict[str, Any]] = []
    for score, of, good, bad in groups:
        valid = score >= threshold
        name = stratum_name(valid, int(bands_of(pd.Series([score]).to_numpy("float32"))[0]))
        for i in range(good + bad):
            label = int(i < good)
            row = {"dt": dt, "sample_run_id": run, "source": "web", "score": score, "is_valid": valid, "stratum": name}
            row |= {"stratum_rows": of, "label": label, "text_label": label, "known_at": LATER}
            rows.append({**row, "second_reader": reader})
    return pd.DataFrame(rows)


NIGHT = [(0.01, 9000, 0, 10), (0.6, 500, 1, 9), (0.72, 100, 1, 9), (0.76, 100, 5, 5), (0.9995, 300, 40, 0)]


def test_counts_by_night_and_stratum() -> None:
    sample_labels = usable(sample("d1", NIGHT), LEARNED)
    assert sample_labels.whole == ["d1"] and not sample_labels.open_nights and not sample_labels.unused
    made = counts(sample_labels.rows, sample_labels.whole)
    assert made.rows.shape == (1, 2 * BANDS)
    # A threshold of no candidate divides its band: both parts are of the region from 0.7 on.
    assert made.rows[0][[8, 9]].tolist() == [100, 100] and made.drawn[0][[8, 9]].tolist() == [10, 10]
    region = made.above(dict(CANDIDATES)[0.7])
    assert precision(region) == pytest.approx((10 + 50 + 300) / 500)
    assert made.junk.sum() == 33 and made.missing.sum() == 0


@pytest.mark.parametrize(
    ("readers", "used", "reason"),
    [
        ([None, None, "bert-1"], "bert-1", "of nights without bert-1"),
        (["bert-1", "bert-1", None], None, "of nights with a second reader"),
        ([None, "bert-1", "failed"], "bert-1", "of nights without bert-1"),
        ([None, None, None], None, None),
        (["failed", "failed", "failed"], None, "of nights with a second reader"),
    ],
)
def test_nights_of_another_second_reader_do_not_count(readers, used, reason) -> None:
    nights = [sample(f"d{i}", NIGHT, reader=reader) for i, reader in enumerate(readers)]
    found = usable(pd.concat(nights, ignore_index=True), LEARNED)
    others = sum(reader != used for reader in readers)
    assert found.second_reader == used and set(found.rows["second_reader"].dropna()) <= {used}
    assert len(found.whole) == len(readers) - others
    assert found.unused == ({reason: others * len(nights[0])} if others else {})


def test_what_the_model_has_learned_does_not_count() -> None:
    night = sample("d1", NIGHT)
    learned = night.index[night["score"] == 0.76][:6]
    night.loc[learned, "known_at"] = int(LEARNED.timestamp() * 1e6)
    sample_labels = usable(night, LEARNED)
    assert sample_labels.unused == {"learned by the model": 6} and sample_labels.whole == ["d1"]
    assert counts(sample_labels.rows, ["d1"]).drawn[0][9] == 4
    # A label without a time may be of any.
    night.loc[night.index[0], "known_at"] = float("nan")
    assert usable(night, LEARNED).unused == {"learned by the model": 7}
    # Of a version that was never the champion nothing is known, so nothing counts.
    assert usable(night, None).whole == [] and counts(usable(night, None).rows, ["d1"]).junk.sum() == 0


def test_a_text_with_two_labels_and_an_unlabelled_row_are_missing_and_a_night_with_many_is_not_whole() -> None:
    night = sample("d1", NIGHT)
    night.loc[night.index[:4], "label"] = float("nan")
    night.loc[night.index[4:6], "text_label"] = float("nan")
    sample_labels = usable(night, LEARNED)
    assert sample_labels.whole == ["d1"] and counts(sample_labels.rows, ["d1"]).missing.sum() == 6
    night.loc[night.index[:12], "label"] = float("nan")
    sample_labels = usable(night, LEARNED)
    assert sample_labels.whole == [] and sample_labels.open_nights == {"d1": 12}
    assert "d1 (12 to label)" in "\n".join(label_lines(sample_labels, "v"))


def test_of_a_day_scored_again_the_last_sample_counts_and_other_bands_do_not() -> None:
    both = pd.concat([sample("d1", NIGHT), sample("d1", NIGHT[:2], "r2"), sample("d2", NIGHT)], ignore_index=True)
    both.loc[both["dt"] == "d2", "stratum"] = "valid 0.95-1.00"
    sample_labels = usable(both, LEARNED)
    assert sample_labels.unused == {"of an earlier run of their day": 80, "drawn by bands of another version": 80}
    assert sample_labels.whole == ["d1"] and counts(sample_labels.rows, ["d1"]).drawn.sum() == 20


def test_no_labels_at_all() -> None:
    sample_labels = usable(sample("d1", NIGHT).head(0), LEARNED)
    result, nights = calibrate(sample_labels, 0.95, 0.9, 0.95)
    assert result.chosen is None and nights == []
    assert "no threshold is certified" in "\n".join(certification_lines(result, 0.95, 0.9, 0.95))


def test_a_week_is_certified_and_the_decision_has_its_evidence() -> None:
    week = pd.concat([sample(f"d{day}", NIGHT) for day in range(5)], ignore_index=True)
    week.loc[week["score"] > 0.99, "source"] = "hotline"
    sample_labels = usable(week, LEARNED)
    result, nights = calibrate(sample_labels, 0.95, 0.9, 0.95)
    assert result.chosen and result.chosen.certified and result.chosen.threshold == 0.8
    flags = {"certified_precision": 0.9, "confidence": 0.95, "target_precision": 0.95, "database": "opinion"}
    made = evidence(result.chosen, sample_labels, nights, flags)
    assert (made["value"], made["source"], made["labels"], made["labels_above"]) == (0.8, "calibrated", 400, 200)
    assert 0.9 <= made["precision_lower"] < made["precision"] <= made["precision_upper"] and made["nights"] == nights
    assert made["sources"] == {"hotline": {"labels": 200, "precision": 1.0}}


def test_a_half_labelled_night_gives_an_estimate_that_is_not_certified() -> None:
    night = sample("d1", [*NIGHT[:-1], (0.9995, 300, 60, 0)])
    night.loc[night.index[::5], "label"] = float("nan")
    sample_labels = usable(night, LEARNED)
    result, nights = calibrate(sample_labels, 0.95, 0.9, 0.95)
    assert nights == ["d1"] and result.chosen and not result.chosen.certified


def test_a_source_counts_by_the_rows_that_its_labels_stand_for() -> None:
    rows = sample("d1", [(0.76, 1000, 10, 10), (0.9995, 20, 20, 0)])
    labels = usable(rows, LEARNED).rows
    assert by_source(labels) == {"web": {"labels": 40, "precision": pytest.approx((500 + 20) / 1020)}}


def test_when_a_version_had_learned_its_labels() -> None:
    assert learned_at({"lineage": {"labels_at": LEARNED.isoformat()}}, None, "v") == LEARNED  # type: ignore[arg-type]
