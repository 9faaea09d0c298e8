"""The candidates of a sample are the rows of the lowest draws, however the day was cut into batches."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.scoring.bands import BANDS
from jobs.scoring.id_hashes import draws_of_ids
from jobs.scoring.sample_candidates import STRATA, SampleReservoir, strata_of
from jobs.scoring.worker import staged

DAY = "2026-11-09"
rows = st.lists(st.tuples(st.floats(0, 1, width=32), st.booleans()), max_size=80)


@settings(max_examples=80, deadline=None)
@given(rows, st.integers(1, 5), st.integers(1, 20))
def test_of_each_stratum_the_lowest_draws_are_kept(made: list[tuple[float, bool]], most: int, size: int) -> None:
    scores = np.array([score for score, _ in made], np.float32)
    valid = np.array([is_valid for _, is_valid in made], bool)
    ids = pa.array([str(i) for i in range(len(made))], pa.string())
    draws = draws_of_ids(DAY, ids)
    batch = pa.RecordBatch.from_pydict({"opinion_id": ids})
    chosen = SampleReservoir(most, DAY)
    for at in range(0, len(made), size):
        part = slice(at, at + size)
        chosen.offer(batch.slice(at, size), scores[part], valid[part])
    kept = [row for part in chosen.rows() for row in staged("candidate", part).to_pylist()]
    assert len({row["opinion_id"] for row in kept}) == len(kept)
    numbers = [int(row["opinion_id"]) for row in kept]
    assert [row["score"] for row in kept] == scores[numbers].tolist()
    assert [row["is_valid"] for row in kept] == valid[numbers].tolist()
    strata = strata_of(scores, valid) if made else np.empty(0)
    for stratum in range(STRATA):
        of_stratum = np.flatnonzero(strata == stratum)
        lowest = np.sort(draws[of_stratum])[:most]
        assert np.sort(draws[[i for i in numbers if strata[i] == stratum]]).tolist() == lowest.tolist()


@pytest.mark.parametrize("valid", [False, True])
def test_a_stratum_is_a_decision_and_a_band(valid: bool) -> None:
    scores = np.array([0, 0.049, 0.05, 0.2, 0.499, 0.5, 0.8, 0.95, 0.99, 0.9949, 0.995, 0.999, 1], np.float32)
    bands = strata_of(scores, np.full(len(scores), valid)) - valid * BANDS
    assert bands.tolist() == [0, 0, 1, 2, 2, 3, 5, 9, 12, 12, 13, 15, 15]
