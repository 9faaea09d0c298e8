"""The page of a scored day: its numbers, plots of them, and both written."""

from pathlib import Path
from typing import Any

from distill.models.registry import Registry
from distill.scoring.drift import MODERATE, SIGNIFICANT
from jobs.common.home import home
from jobs.reports import plots
from jobs.reports.console import fit_width
from jobs.reports.day_facts import DRIFT, day_facts, scoring_run_of
from jobs.reports.pages import Pictures, write
from jobs.warehouse.warehouse import Warehouse

DRAWN = ((plots.BLUE, "o-"), (plots.ORANGE, "s-"), (plots.GREEN, "^-"), (plots.GREY, "D-"))  # one for each of DRIFT


def report(warehouse: Warehouse, dt: str, registry: Registry) -> None:
    """Collect the day's numbers, draw, write, and print where."""
    run = scoring_run_of(warehouse, dt)
    facts = day_facts(warehouse, run, registry.load(run.model_version).bundle)
    facts["funnel"] = funnel(facts)
    print(
        f"report: {write(home() / 'reports' / 'day' / dt, facts, lambda to: draw(facts, to), 'day.html')}", flush=True
    )


def funnel(facts: dict[str, Any]) -> list[dict[str, Any]]:
    """The steps from lines to complaints: name, rows, percent of the lines, and the rows lost after the step."""
    counts, rejected = facts["counts"], facts["rejected"]
    steps = [
        ("Lines of the feed", "lines", rejected["load"]),
        ("Read", "read", rejected["score"]),
        ("Scored", "scored", {}),
        ("Valid complaints", "valid", {}),
    ]
    return [
        {
            "name": name,
            "rows": counts[of],
            "percent": 100 * counts[of] / (counts["lines"] or 1),
            "lost": most_first(lost),
        }
        for name, of, lost in steps
    ]


def most_first(reasons: dict[str, int]) -> list[dict[str, Any]]:
    """Reasons by how many rows they have."""
    counts = [{"reason": reason.replace("_", " "), "rows": rows} for reason, rows in reasons.items()]
    return sorted(counts, key=lambda one: (-one["rows"], one["reason"]))


def draw(facts: dict[str, Any], folder: Path) -> Pictures:
    """Draw the plots of a day; returns their captions."""
    pictures = {
        "histogram.png": histogram(facts, folder / "histogram.png"),
        "trend.png": trend(facts, folder / "trend.png"),
    }
    if facts["ngrams"]:
        pictures["ngrams.png"] = ngrams(facts, folder / "ngrams.png")
    return pictures


def histogram(facts: dict[str, Any], file: Path) -> str:
    """Scores of the day and of the training, and the threshold."""
    day, training = (facts["histograms"][name] for name in ("day", "training"))
    width, threshold = 1 / len(day), facts["model"]["threshold"]
    edges = [i * width for i in range(len(day) + 1)]
    with plots.figure(file) as axes:
        axes.bar(edges[:-1], day, width * 0.9, align="edge", color=plots.BLUE, label="the day")
        if training:
            scaled = [rows * sum(day) / max(sum(training), 1) for rows in training]
            axes.stairs(scaled, edges, color=plots.GREY, linewidth=1.2, label="in training, scaled")
        axes.axvline(threshold, color=plots.ORANGE, linewidth=1.6, label=f"threshold {threshold:.3f}")
        axes.set(yscale="log", xlim=(0, 1), xlabel="score", ylabel="opinions")
        axes.set_ylim(bottom=0.5)
        axes.yaxis.set_major_formatter("{x:,.0f}")
        axes.grid(axis="y")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, handlelength=1.2, columnspacing=1)
    return (
        "Opinions by score, on a logarithmic scale; right of the threshold are the valid complaints. The outline is "
        "the shape in the texts that days are compared with."
    )


def trend(facts: dict[str, Any], file: Path) -> str:
    """The share of valid complaints and the drift, day by day."""
    days = facts["trend"]
    places, every = range(len(days)), -(-len(days) // 7)
    shares = [100 * (one["share"] or 0) for one in days]
    with plots.figure(file, nrows=2, sharex=True) as (top, below):
        top.plot(places, shares, "o-", color=plots.ORANGE, markersize=3.5)
        top.set(title="valid complaints, % of the scored", ylim=(0, 1.2 * max(*shares, 0.1)))
        highest = SIGNIFICANT
        for name, (colour, mark) in zip(DRIFT, DRAWN, strict=True):
            known = [(place, one["drift"][name]) for place, one in enumerate(days) if one["drift"][name] is not None]
            if known:
                highest = max(highest, *(index for _, index in known))
                below.plot(*zip(*known, strict=True), mark, color=colour, markersize=3.5, linewidth=1, label=name)
        # Linear up to `significant`, logarithmic above: one large index must not hide the bounds and the others.
        below.set_yscale("symlog", linthresh=SIGNIFICANT, linscale=1)
        below.set(title="drift, PSI", xticks=places[::every], ylim=(0, 1.5 * highest))
        below.yaxis.set_major_formatter("{x:g}")
        below.set_xticklabels([one["dt"][5:] for one in days[::every]])
        below.legend(ncols=4, loc="upper left", bbox_to_anchor=(0, -0.2), handlelength=1.2, columnspacing=1)
        for axes in (top, below):
            axes.grid(axis="y")
        for bound, band in ((MODERATE, "moderate"), (SIGNIFICANT, "significant")):
            below.axhline(bound, color=plots.GREY, linewidth=0.8, linestyle="--")
            below.annotate(band, (0.01, bound), xycoords=("axes fraction", "data"), va="bottom", fontsize=7)
    return "The last scored days up to this one; a new model can move both lines."


def ngrams(facts: dict[str, Any], file: Path) -> str:
    """The n-grams that added most to the margins of complaints."""
    strongest = facts["ngrams"][::-1]
    with plots.figure(file, (plots.SIZE[0], 0.5 + 0.24 * len(strongest))) as axes:
        axes.barh(range(len(strongest)), [one["margin"] for one in strongest], color=plots.ORANGE, height=0.7)
        axes.set(xlabel="added to the margins, summed", yticks=range(len(strongest)))
        axes.set_yticklabels([fit_width(one["ngram"], 16).rstrip() for one in strongest])
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x")
    return "What spoke most for a complaint in the highest scores of the day, summed over them."
