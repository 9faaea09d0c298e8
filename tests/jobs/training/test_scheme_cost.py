"""A model costs its own training and all that it learned from, each training once."""

from pathlib import Path
from typing import Any

import pytest

from distill.models.bert import from_pretrained, to_bundle
from distill.models.registry import Registry
from jobs.training.scheme_cost import SchemeCosts
from tests.distill.tiny_encoder import tiny_encoder

FIRST, SECOND = "bert-20261123T201500Z-1a2b3c", "bert-20261124T201500Z-1a2b3c"
ANCHOR = f"{SECOND}-step-10"


def curve(*epochs: tuple[float, float]) -> dict[str, Any]:
    """CPU seconds of each epoch and of its validation."""
    return {"curve": [{"cpu_seconds": all_of_it, "validation_cpu_seconds": part} for all_of_it, part in epochs]}


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> SchemeCosts:
    """A teacher of 60 seconds, one of 40 more that began from it, and an anchor of the second."""
    folder: Path = tmp_path_factory.mktemp("costs")
    model, tokenizer = from_pretrained(tiny_encoder(folder / "encoder"), 16, "float32")
    registry = Registry(str(folder / "registry"))
    second = curve((45, 5)) | {"warm_start": FIRST}
    for version, lineage in (
        (FIRST, curve((40, 10), (40, 10))),
        (SECOND, second),
        (ANCHOR, second | {"route_of": SECOND}),
    ):
        saved = to_bundle(model, tokenizer, {"lineage": lineage})
        registry.add(version, saved.tensors, saved.files, saved.manifest)
    return SchemeCosts(registry, ["退款三个月没到账", "这家店的菜真好吃"] * 20)


def taught_by(*versions: str) -> dict[str, Any]:
    return {"teachers": [{"version": version} for version in versions]}


def test_a_student_without_a_teacher_costs_its_steps(costs: SchemeCosts) -> None:
    assert costs.total({"lineage": curve((9, 1), (8, 1)) | taught_by()}) == 15


def test_a_teacher_costs_what_it_began_from_too(costs: SchemeCosts) -> None:
    assert costs.total(costs.manifest(SECOND)) == 60 + 40


def test_a_joint_student_costs_the_teacher_that_its_own_began_from(costs: SchemeCosts) -> None:
    assert costs.total({"lineage": curve((30, 2)) | taught_by() | {"warm_start": SECOND}}) == 28 + 60 + 40


def test_stored_logits_cost_each_teacher_and_its_training_once(costs: SchemeCosts) -> None:
    logits = [costs.logits(version) for version in (SECOND, ANCHOR)]
    assert min(logits) > 0
    lineage = curve((9, 1)) | taught_by(SECOND, ANCHOR) | {"teacher_features": {"cpu_seconds": 7.0}}
    assert costs.total({"lineage": lineage}) == pytest.approx(8 + 7 + 60 + 40 + sum(logits))


def test_a_curve_of_an_older_version_is_counted_with_its_validation(costs: SchemeCosts) -> None:
    assert costs.total({"lineage": {"curve": [{"cpu_seconds": 4000.0, "epoch": 1}], **taught_by()}}) == 4000
