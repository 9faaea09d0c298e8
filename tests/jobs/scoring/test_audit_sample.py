"""Which rows of a night people are asked to label."""

import pandas as pd
import pytest

from jobs.scoring.audit_sample import LEAST_SAMPLE, plan


def cells(*rows: tuple[bool, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["is_valid", "score_bin", "rows"])


def test_a_stratum_is_a_decision_and_a_band_of_scores() -> None:
    strata = plan(
        cells((False, 0, 900), (False, 1, 50), (False, 3, 40), (False, 16, 5), (True, 16, 7), (True, 19, 90)), 40
    )
    found = {row.stratum: (row.is_valid, row.stratum_rows) for row in strata.itertuples()}
    assert found == {
        "junk 0.00-0.05": (False, 900),
        "junk 0.05-0.20": (False, 90),
        "junk 0.80-0.95": (False, 5),
        "valid 0.80-0.95": (True, 7),
        "valid 0.95-1.00": (True, 90),
    }
    assert strata["drawn"].sum() == 40 and strata["drawn"][strata["is_valid"]].sum() == 20


@pytest.mark.parametrize("size", [LEAST_SAMPLE, 100, 1000])
def test_every_stratum_is_drawn_from_and_rows_that_are_missing_on_one_side_are_drawn_on_the_other(size: int) -> None:
    for valid, junk in ((3, 5000), (5000, 3), (0, 5000), (5000, 5000)):
        full = cells(
            *((False, b, junk) for b in (0, 2, 5, 12, 17, 19)), *((True, b, valid) for b in (0, 2, 5, 12, 17, 19))
        )
        strata = plan(full[full["rows"] > 0], size)
        assert strata["drawn"].sum() == size
        assert (strata["drawn"] >= strata["stratum_rows"].clip(upper=2)).all()
        assert (strata["drawn"] <= strata["stratum_rows"]).all()


def test_a_small_day_is_drawn_whole() -> None:
    strata = plan(cells((False, 0, 4), (True, 19, 2)), 100)
    assert strata["drawn"].tolist() == strata["stratum_rows"].tolist() == [4, 2]
