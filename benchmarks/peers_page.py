"""The table of the peers and the plot of recall against speed."""

import statistics
from pathlib import Path
from typing import Any

from jobs.reports import plots

QUALITY = ("test_auc", "test_recall", "test_precision", "stream_auc", "stream_recall", "stream_recall_lower")
TICKS = (300, 1_000, 3_000, 10_000, 30_000, 100_000, 300_000)
FIGURES = (*QUALITY, "train_cpu_s", "bytes")


def markdown(content: dict[str, Any]) -> str:
    """The page for people."""
    rows, packages = content["rows"], content["packages"]
    lines = [
        "# Small models taught by one teacher",
        "",
        f"`{content['command']}`; {', '.join(f'{name} {number}' for name, number in packages.items())}.",
        "",
        f"All learn the same {rows['train']:,} texts: {rows['labelled']:,} with labels, the others of the stream, "
        "2026-11-09 to 14, and the teacher's logits of all. The threshold has 95% precision on `valid`; "
        f"recall and precision on `test` are at it. The stream is {rows['stream']:,} rows of 2026-11-15 to 19, ranked "
        f"together, with the labels of an oracle; {rows['repeated']:,} of them repeat a text that was learned. Its "
        "recall is the best at that precision. Texts a second are from raw text to score on one core, by processor "
        "time. Training is without the features of the teacher's tokens, where the home had them. Means of the seeds, "
        "± their standard deviation.",
        "",
        "![Recall on the stream by texts a second](peers.png)",
        "",
        "| model | seeds | AUC, test | recall, test | precision, test | AUC, stream | recall, stream, at 95% | "
        "at 90% | texts/s | MB | training, CPU s |",
        f"|{' --- |' * 11}",
    ]
    for name, one in means(content["runs"]).items():
        cells = [shown(one[figure]) for figure in QUALITY]
        speed, size = content["texts_per_s"][name], one["bytes"][0] / 1e6
        cells += [f"{speed:,}", f"{size:,.1f}", f"{one['train_cpu_s'][0]:,.0f}"]
        lines.append(f"| {name} | {one['seeds']} | {' | '.join(cells)} |")
    teacher = [shown((content["teacher"][figure], None)) for figure in QUALITY]
    lines += [f"| the teacher | | {' | '.join(teacher)} | | | |", ""]
    lines += [f"- {name}: {how}." for name, how in content["how"].items()]
    return "\n".join(lines) + "\n"


def means(runs: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """By peer the number of seeds, and of each figure the mean and the standard deviation, None for a single seed."""
    found: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(run["peer"] for run in runs):
        values = {figure: [run[figure] for run in runs if run["peer"] == name] for figure in FIGURES}
        found[name] = {
            figure: (statistics.mean(of_seeds), statistics.stdev(of_seeds) if len(of_seeds) > 1 else None)
            for figure, of_seeds in values.items()
        } | {"seeds": len(values[FIGURES[0]])}
    return found


def shown(figure: tuple[float, float | None]) -> str:
    """A mean, with its deviation if there is one."""
    mean, deviation = figure
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def front(points: dict[str, tuple[float, float]]) -> list[str]:
    """The names that no other point beats in one figure and equals or beats in the other, by the first figure."""
    return [
        name
        for name, one in sorted(points.items(), key=lambda point: point[1])
        if not any(other != one and other[0] >= one[0] and other[1] >= one[1] for other in points.values())
    ]


def draw(content: dict[str, Any], file: Path) -> None:
    """Recall on the stream by speed, with a line through the Pareto front."""
    points = {
        name: (float(content["texts_per_s"][name]), one["stream_recall"][0])
        for name, one in means(content["runs"]).items()
    }
    with plots.figure(file) as axes:
        best = [points[name] for name in front(points)]
        axes.plot(*zip(*best, strict=True), "-", color=plots.GREY, linewidth=1, label="Pareto front")
        for name, (speed, recall) in points.items():
            axes.plot(speed, recall, "o", color=plots.ORANGE if name == "ours" else plots.BLUE)
            axes.annotate(name, (speed, recall), xytext=(0, -13), textcoords="offset points", ha="center")
        axes.axhline(
            content["teacher"]["stream_recall"], color=plots.GREY, linestyle="--", linewidth=1, label="the teacher"
        )
        axes.set_xscale("log")
        axes.margins(x=0.15, y=0.15)
        low, high = axes.get_xlim()
        axes.set_xticks(ticks := [tick for tick in TICKS if low < tick < high], [f"{tick:,}" for tick in ticks])
        axes.minorticks_off()
        axes.set(xlabel="texts a second, one core", ylabel="recall at 95% precision, stream")
        axes.grid()
        axes.legend(loc="lower left")
