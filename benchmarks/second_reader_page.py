"""The page and the plot of a second reader's budget."""

from pathlib import Path
from typing import Any

from jobs.reports import plots

MILLION, SHARE = 1_000_000, 0.01


def markdown(
    command: str,
    curve: list[dict[str, Any]],
    fits: list[dict[str, Any]],
    teacher: dict[str, float],
    seconds: tuple[float, float],
) -> str:
    """The page for people; seconds: of the student and of the teacher, for a text."""
    of_student, of_teacher = seconds
    lines = [
        "# A second reader: budget against quality",
        "",
        f"`{command}`",
        "",
        "Days of the stream that an oracle knows, ranked together; threshold and combination of a day come from the "
        "labels of the others and of `valid`. `read` is the share of the rows, each text once. Seconds are processor "
        "seconds of one core, the student's for all rows included.",
        "",
        "![Recall at 95% precision by the share of the rows that is read](second-reader.png)",
        "",
        "| read | rows | texts read | seconds | AUC | recall at 95% precision | made valid | made junk |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
        *(
            f"| {one['share_read']:.0%} | {one['rows']:,} | {one['texts_read']:,} | {one['seconds']:,.0f} | "
            f"{one['auc']:.4f} | {one['recall_at_95_precision']:.3f} | {one['made_valid']} | {one['made_junk']} |"
            for one in curve
        ),
        f"| the teacher alone | | | | {teacher['auc']:.4f} | {teacher['recall_at_95_precision']:.3f} | | |",
        "",
        f"The student takes {of_student * 1e6:.0f} microseconds a text and the teacher {of_teacher * 1e3:.1f} "
        f"milliseconds. So {SHARE:.0%} of a million rows takes the teacher {SHARE * MILLION * of_teacher:,.0f} s of a "
        f"core, and scoring all of them the student {MILLION * of_student:,.0f} s.",
        "",
        f"## Labels for the combination, budget {fits[0]['share_read']:.0%}",
        "",
        "Recall at 95% precision, mean and least of several draws of so many labels from the other days.",
        "",
        "| labels of nights | fitted on | mean | least |",
        "| --- | --- | --- | --- |",
        *(f"| {one['labels']} | {one['fit']} | {one['mean']:.3f} | {one['least']:.3f} |" for one in fits),
    ]
    return "\n".join(lines) + "\n"


def draw(curve: list[dict[str, Any]], teacher: dict[str, float], file: Path) -> None:
    """Recall by the share that is read."""
    with plots.figure(file) as axes:
        shares = [100 * one["share_read"] for one in curve]
        recalls = [one["recall_at_95_precision"] for one in curve]
        axes.plot(shares, recalls, "o-", color=plots.BLUE, label="student and second reader")
        axes.axhline(teacher["recall_at_95_precision"], color=plots.GREY, linestyle="--", label="the teacher alone")
        axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel="% of the rows that the second reader reads", ylabel="recall at 95% precision")
        axes.set_xticks(shares, [f"{share:g}" for share in shares])
        axes.set_xlim(-0.2, 130)
        axes.grid()
        axes.legend(loc="lower right")
