"""The warm-up: its student scores like any other, and what a night of it compiled is all that a night compiles."""

from pathlib import Path

import pyarrow as pa
import pytest

from distill import WARM
from distill.models.registry import Registry
from distill.scoring.scorer import Scorer
from jobs import warm_up
from tests.conftest import ROOT


def test_the_random_student_scores_every_text_that_can_be_scored(tmp_path: Path) -> None:
    version = warm_up.save_student(tmp_path)
    scorer = Scorer(Registry(str(tmp_path / "registry")).load(version).bundle)
    texts = [*warm_up.TEXTS, warm_up.LONG]
    result = scorer.score(pa.array(texts))
    assert [reason is None for reason in result.reasons.to_pylist()] == [bool(text.strip()) for text in texts]
    assert result.cut.tolist() == [text == warm_up.LONG for text in texts]


# make writes .warm after a warm-up that failed too, so such a failure is seen here.
@pytest.mark.skipif(not WARM.with_name(".warm").exists(), reason="make setup was not run here")
def test_set_up_compiled_every_kernel_and_archived_the_classes() -> None:
    (archive,) = WARM.glob("classes-*.jsa")
    assert archive.stat().st_size > 1e8
    compiled = {path.name.split("-")[0] for path in (WARM / "cache").rglob("*.nbi")}
    for module in ("text_batch", "segmenter", "token_table", "vocabulary", "channel"):
        assert any(name.startswith(f"{module}.") for name in compiled), f"{module} of {ROOT}"
