"""The page and the plot of the scoring benchmark."""

from pathlib import Path
from typing import Any


def markdown(content: dict[str, Any], names: list[str], name: str) -> str:
    """The page for people."""
    head = ["line", "rows", "rows/s per core", "× floor", "JVM µs a row", "Python µs a row"]
    head += ["worker MiB", "JVM MiB", "AUC", "recall at 95%"]
    table = [f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}"]
    for line in names:
        at = content[line]
        quality = [f"{at[key]:.4f}" if key in at else "" for key in ("auc", "recall_at_95_precision")]
        cells = [line, f"{at['rows']:,}", f"{at['rows_per_s_per_core']:,.0f}", f"{at['ratio_to_floor']:.2f}"]
        cells += [f"{at['jvm_us_per_row']:.2f}", f"{at['worker_us_per_row']:.2f}"]
        table.append(f"| {' | '.join([*cells, str(at['peak_rss_mb']), str(at['executor_rss_mb']), *quality])} |")
    growth = content["us_per_row_by_rows"]
    sizes = list(next(iter(growth.values())))
    table += [
        "",
        f"| µs a row, all cores | {' | '.join(f'{n:,} rows' for n in sizes)} |",
        f"|{' --- |' * (len(sizes) + 1)}",
    ]
    table += [
        f"| {line} | {' | '.join(f'{at[n]:.2f}' if n in at else '' for n in sizes)} |" for line, at in growth.items()
    ]
    memory = ", ".join(f"{value} at {int(n):,} rows" for n, value in content["ours_peak_rss_mb_by_rows"].items())
    return (
        f"# Scoring, from Hive table to Hive table\n\n`{content['command']}`: {content['machine']}, Spark on "
        f"{content['cores']} of them, Python {content['python']}, pyspark {content['versions']['pyspark']}, model "
        f"{content['model']}; medians of {content['rounds']} interleaved rounds.\n\n"
        + "\n".join(table)
        + "\n\nJVM and Python µs are of a core; the JVM's hold the whole job, audit and publish too.\n\n"
        + (f"The teacher is {content['teacher_model']}.\n\n" if content["teacher_model"] else "")
        + f"MiB of a worker of ours: {memory}.\n\n![µs a row by rows]({name}.png)\n"
    )


def draw(growth: dict[str, dict[int, float]], file: Path) -> None:
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 4.5), layout="constrained")
    for line, at in growth.items():
        axes.plot(list(at), list(at.values()), "o-", label=line)
    axes.set(xscale="log", yscale="log", xlabel="rows of the day", ylabel="µs a row, all cores")
    axes.legend()
    axes.grid(alpha=0.3, which="both")
    figure.savefig(file, dpi=130)
    pyplot.close(figure)
