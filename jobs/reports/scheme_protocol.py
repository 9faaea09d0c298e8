"""The tables of a grid's protocol: what was tried and chosen on valid, and differences on test with their bounds."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from distill.data.labelled import TextRows
from distill.evaluation.paired import Difference, Measure, paired_difference
from distill.models.registry import Registry
from distill.scoring.scorer import Scorer
from distill.training.scheme_table import SCHEMES

Rows = Sequence[Mapping[str, Any]]

TARGET = 0.95  # precision on test that recall is compared at
MEASURES: dict[str, Measure] = {
    "AUC": lambda ranked, times: ranked.auc(times),
    "recall at 95% precision on test": lambda ranked, times: ranked.recall(TARGET, times),
}
TRIALS_HEAD = ("", "flags", "AUC on valid", "recall on valid", "CPU s with all that it learned from", "")


def finals(rows: Rows) -> list[Mapping[str, Any]]:
    """The rows that were measured on test; those from before there were trials have no phase."""
    return [row for row in rows if row["phase"] != "trial"]


def trials_table(rows: Rows, budget: float | None) -> list[list[str]]:
    """The cells below TRIALS_HEAD, one list per trial; the flags of the final runs are those that were chosen."""
    chosen = {(row["label"], row["flags"]) for row in finals(rows)}
    return [
        [
            row["label"],
            f"`{row['flags']}`",
            f"{row['valid_auc']:.4f}",
            f"{row['valid_recall']:.3f}",
            f"{row['total_cpu_s']:.0f}",
            "over the budget"
            if budget is not None and row["total_cpu_s"] > budget
            else "chosen"
            if (row["label"], row["flags"]) in chosen
            else "",
        ]
        for row in rows
        if row["phase"] == "trial"
    ]


def differences(
    registry: Registry, rows: Rows, reference: str | None, test_rows: Callable[[], TextRows]
) -> dict[str, dict[str, Difference]]:
    """By label, each measure of its students less that of the reference's students of the same seeds, on test."""
    versions = set(registry.versions())
    students: dict[str, dict[int, str]] = {}
    for row in finals(rows):
        if row["scheme"] in SCHEMES and row["model_version"] in versions:
            students.setdefault(row["label"], {})[row["seed"]] = row["model_version"]
    base = students.pop(reference, {}) if reference else {}
    if not base:
        return {}
    test = test_rows()
    scores = {
        version: Scorer(registry.load(version).bundle).score_normalised(test.texts)
        for by_seed in (base, *students.values())
        for version in by_seed.values()
    }
    by_label = {}
    for label, by_seed in students.items():
        pairs = [(scores[base[seed]], scores[version]) for seed, version in by_seed.items() if seed in base]
        if pairs:
            by_label[label] = {name: paired_difference(test.labels, pairs, one) for name, one in MEASURES.items()}
    return by_label


def differences_table(by_label: Mapping[str, Mapping[str, Difference]]) -> list[list[str]]:
    """The cells, one list per label: the mean and its 95% interval for each measure."""
    return [
        [label, *(f"{one.mean:+.4f} ({one.low:+.4f} to {one.high:+.4f})" for one in measures.values())]
        for label, measures in by_label.items()
    ]
