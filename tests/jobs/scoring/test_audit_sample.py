"""Which rows of a night people are asked to label."""

import numpy as np
import pandas as pd
import pytest

from jobs.scoring.audit_sample import LOWEST_CANDIDATE, Aim, allocation
from jobs.scoring.bands import BANDS, LEAST_SAMPLE

# Rows a band of a real night, the threshold inside the band from 0.7 on.
NIGHT = [
    *((False, band, rows) for band, rows in enumerate((10250, 2590, 1520, 541, 200))),
    *((True, band + 4, rows) for band, rows in enumerate((72, 130, 146, 70, 75, 110, 126, 81, 79, 77, 46, 235))),
]


def cells(*rows: tuple[bool, int, int]) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["is_valid", "band", "rows"])


def test_a_stratum_is_a_decision_and_a_band_of_scores() -> None:
    strata = allocation(
        cells((False, 0, 900), (False, 1, 90), (False, 5, 5), (True, 5, 7), (True, 12, 60), (True, 15, 9)), 40
    )
    labelled = {row.stratum: (row.is_valid, row.stratum_rows) for row in strata.itertuples()}
    assert labelled == {
        "junk 0.00-0.05": (False, 900),
        "junk 0.05-0.20": (False, 90),
        "junk 0.80-0.85": (False, 5),
        "valid 0.80-0.85": (True, 7),
        "valid 0.99-0.995": (True, 60),
        "valid 0.999-1.00": (True, 9),
    }
    assert strata["drawn"].sum() == 40


@pytest.mark.parametrize("size", [LEAST_SAMPLE, 100, 1000])
@pytest.mark.parametrize("aim", [None, Aim(0.5, False), Aim(0.98, False), Aim(0.7898, True), Aim(1.0, True)])
def test_every_stratum_is_drawn_from_and_rows_that_are_missing_on_one_side_are_drawn_on_the_other(
    size: int, aim: Aim | None
) -> None:
    for valid, junk in ((3, 5000), (5000, 3), (0, 5000), (5000, 5000)):
        # At the threshold, in band 5, both decisions are.
        full = cells(*((False, b, junk) for b in range(6)), *((True, b, valid) for b in range(5, BANDS)))
        strata = allocation(full[full["rows"] > 0], size, aim)
        assert strata["drawn"].sum() == min(size, full["rows"].sum())
        assert (strata["drawn"] >= strata["stratum_rows"].clip(upper=2)).all()
        assert (strata["drawn"] <= strata["stratum_rows"]).all()


def test_a_small_day_is_drawn_whole() -> None:
    strata = allocation(cells((False, 0, 4), (True, 12, 2)), 100)
    assert strata["drawn"].tolist() == strata["stratum_rows"].tolist() == [4, 2]


def test_without_an_aim_most_rows_are_candidates_and_stricter_ones_are_drawn_more_densely() -> None:
    strata = allocation(cells(*NIGHT), 100)
    above = strata[strata["band"] >= LOWEST_CANDIDATE]
    assert above["drawn"].sum() >= 80
    density = (above.groupby("band")["drawn"].sum() / above.groupby("band")["stratum_rows"].sum()).to_numpy()
    assert density[-1] > 2 * density[0] and (np.diff(density) > -0.02).all()


def test_with_an_aim_the_rows_at_and_just_below_it_are_drawn_evenly_and_the_rest_keeps_its_floor() -> None:
    strata = allocation(cells(*NIGHT), 100, Aim(0.98, False))
    near = strata[strata["band"] >= 10]  # from 0.96 on, the candidate below the aim
    assert 60 <= near["drawn"].sum() <= 75
    density = near["drawn"] / near["stratum_rows"]
    assert density.max() < 1.5 * density.min()
    assert allocation(cells(*NIGHT), 100, Aim(0.98, True)).loc[near.index, "drawn"].sum() < near["drawn"].sum()
