"""The threshold from a model's labelled nights: the choice, its evidence for the registry, the printed lines."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd

from distill.evaluation.certification import Candidate, Certification, certify
from distill.evaluation.out_of_fold import NightLabels, start_threshold
from distill.evaluation.stratified import Stratum, complaints, interval
from distill.models.registry import Registry
from jobs.scoring.promise import CALIBRATED, ESTIMATE
from jobs.scoring.sample_nights import CANDIDATES, Sampled, counts

LEAST_OF_SOURCE = 10  # labels above the threshold, below which a source has no estimate


def learned_at(manifest: Mapping[str, Any], registry: Registry, version: str) -> datetime | None:
    """A time before which all labels of the version's training were loaded.

    For a version without the time of its snapshot it is the time when it first became the champion.
    """
    if at := manifest.get("lineage", {}).get("labels_at"):
        return datetime.fromisoformat(at)
    switches = [switch.at for switch in registry.history() if switch.version == version]
    return datetime.fromisoformat(switches[0]) if switches else None


def calibrate(samples: Sampled, target: float, floor: float, confidence: float) -> tuple[Certification, list[str]]:
    """The certification from the completely labelled nights, and those nights.

    Of the certified thresholds the lowest one that is estimated to have the target is chosen. Without a certified
    threshold, the other nights give an estimate too, which certifies nothing.
    """
    result = certify(counts(samples.rows, samples.whole), CANDIDATES, target, floor, confidence)
    if result.chosen and result.chosen.certified:
        certified = [one for one in result.candidates if one.certified]
        return replace(
            result, chosen=estimated(samples, samples.whole, certified, target) or result.chosen
        ), samples.whole
    nights = sorted([*samples.whole, *samples.open_nights])
    more = certify(counts(samples.rows, nights), CANDIDATES, target, 1.0, confidence) if samples.open_nights else result
    chosen = estimated(samples, nights, more.candidates, target) or more.chosen
    return Certification(more.candidates, chosen, result.need), nights


def estimated(samples: Sampled, nights: list[str], candidates: Sequence[Candidate], target: float) -> Candidate | None:
    """The lowest candidate that is estimated to have the target, as `out_of_fold.precisions` estimates it."""
    used = weighed(samples.rows[samples.rows["dt"].isin(nights) & samples.rows["label"].notna()])
    labels, scores = used["label"].to_numpy(np.int64), used["score"].to_numpy(np.float32)
    known = NightLabels(labels, scores, used["weight"].to_numpy(np.float64))
    start = start_threshold(known, [one.threshold for one in candidates], target)
    if start is None:
        return None
    [chosen] = [one for one in candidates if one.threshold == start.value]
    return replace(chosen, estimate=start.precision)


def evidence(chosen: Candidate, samples: Sampled, nights: list[str], flags: Mapping[str, Any]) -> dict[str, Any]:
    """The decision for the registry."""
    used = samples.rows[samples.rows["dt"].isin(nights) & samples.rows["label"].notna()]
    above = used[used["score"] >= chosen.threshold]
    lower, upper = bounds(chosen, samples, nights)
    return {
        "value": chosen.threshold,
        "source": CALIBRATED if chosen.certified else ESTIMATE,
        "certified": chosen.certified,
        "certified_precision": flags["certified_precision"] if chosen.certified else None,
        "confidence": flags["confidence"],
        "target_precision": flags["target_precision"],
        "precision": chosen.estimate,
        "precision_lower": chosen.lower if chosen.certified else lower,
        "precision_upper": upper,
        "nights": nights,
        "labels": len(used),
        "labels_above": len(above),
        "junk_above": int((above["label"] == 0).sum()),
        "sources": by_source(above),
        "second_reader": samples.second_reader,
        "database": flags["database"],
        "decided": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def bounds(chosen: Candidate, samples: Sampled, nights: list[str]) -> tuple[float, float]:
    """The 95% interval of the estimate, as in night_precision; it holds for one look and certifies nothing."""
    region = counts(samples.rows, nights).above(dict(CANDIDATES)[chosen.threshold])
    rows, good, bad = (part.sum(axis=0) for part in (region.rows, region.complaints, region.junk))
    strata = [Stratum(True, int(n), int(k + j), int(k)) for n, k, j in zip(rows, good, bad, strict=True) if n]
    share = interval(chosen.estimate or 0.0, complaints(strata).sum(axis=0) / sum(stratum.rows for stratum in strata))
    return share.lower, share.upper


def by_source(above: Any) -> dict[str, dict[str, float]]:
    """Labels and share of complaints, for each source with enough labels above the threshold."""
    precisions, rows_above = {}, weighed(above)
    for source, rows in rows_above.groupby(rows_above["source"].fillna("")):
        if len(rows) >= LEAST_OF_SOURCE:
            precision = (rows["weight"] * rows["label"]).sum() / rows["weight"].sum()
            precisions[str(source)] = {"labels": len(rows), "precision": float(precision)}
    return precisions


def weighed(labelled: pd.DataFrame) -> pd.DataFrame:
    """Labelled rows with a column `weight`: the rows of the night's stratum that each stands for."""
    given = labelled.groupby(["dt", "column"])["label"].transform("size")
    return labelled.assign(weight=labelled["stratum_rows"] / given)


def label_lines(samples: Sampled, version: str) -> list[str]:
    """Lines about the labels that count, and why others do not."""
    labels = int(samples.rows["label"].notna().sum())
    nights = len(samples.whole) + len(samples.open_nights)
    beside = f" with {samples.second_reader}" if samples.second_reader else ""
    lines = [f"{labels} labels of {nights} nights that {version} scored{beside}"]
    if samples.open_nights:
        missing = ", ".join(f"{dt} ({rows} to label)" for dt, rows in sorted(samples.open_nights.items()))
        lines.append(f"not labelled whole, so of no use to certify: {missing}")
    lines += [f"{rows} labels do not count: {reason}" for reason, rows in samples.unused.items()]
    return lines


def certification_lines(result: Certification, target: float, floor: float, confidence: float) -> list[str]:
    """A line for each candidate, then the choice and the missing labels."""
    lines = [f"{'threshold':>9}  {'labels':>6}  {'estimate':>8}  {'bound':>6}"]
    for one in reversed(result.candidates):
        estimate = "-" if one.estimate is None else f"{one.estimate:.3f}"
        state = "certified" if one.certified else "tested, not certified" if one.tested else ""
        lines.append(f"{one.threshold:9g}  {one.labels:6}  {estimate:>8}  {one.lower:6.3f}  {state}".rstrip())
    if result.chosen:
        lines.append(f"threshold {result.chosen.threshold:g}: {chosen_text(result.chosen, floor)}")
    if result.chosen is None or not result.chosen.certified:
        lines.append(f"no threshold is certified to have precision {floor:g} with confidence {confidence:g}")
        if result.need:
            lines.append(
                f"about {result.need.labels} more labels of opinions that score {result.need.threshold:g} or more "
                "would certify that threshold, if they hold junk as often as those before"
            )
        elif any(one.labels for one in result.candidates):
            lines.append("junk is so frequent at every threshold that more labels would not help: train on these")
    elif (result.chosen.estimate or 0) < target:
        lines.append(f"no certified threshold is estimated to reach {target:g}; this is the nearest")
    return lines


def chosen_text(chosen: Candidate, floor: float) -> str:
    """The precision of the chosen threshold."""
    estimate = f"precision {chosen.estimate:.3f} from {chosen.labels} labels"
    return f"{estimate}, certified to be at least {floor:g}" if chosen.certified else f"{estimate}, an estimate alone"
