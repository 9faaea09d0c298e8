"""The figures of the scoring benchmark, from what was measured."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

SLOW = {"torch": 20_000, "onnx": 20_000, "teacher": 2_000}  # rows at most
MOST = 1_000_000  # rows that lines other than the floor and ours get


@dataclass
class Measured:
    """One line at one size: seconds of each round, by the clock and of processors, and the highest memory, in MiB."""

    rows: int
    seconds: list[float] = field(default_factory=list)
    worker_s: list[float] = field(default_factory=list)
    jvm_s: list[float] = field(default_factory=list)
    worker_mib: float = 0
    jvm_mib: float = 0

    @property
    def median(self) -> float:
        return statistics.median(self.seconds)


def fits(line: str, rows: int) -> bool:
    """Whether a line is run at a size."""
    return line not in SLOW and (rows <= MOST or line in ("floor", "ours"))


def base_size(sizes: Sequence[int]) -> int:
    """The largest size that every line is run at, but for the slow ones."""
    return max((rows for rows in sizes if rows <= MOST), default=max(sizes))


def figures_of(
    measured: dict[tuple[str, int], Measured],
    lines: Sequence[str],
    base: int,
    cores: int,
    quality: dict[str, dict[str, float]],
) -> dict[str, Any]:
    """Rates, times, memory and quality by line."""
    floor = measured["floor", base]
    figures: dict[str, Any] = {}
    for line in lines:
        at = measured[line, SLOW.get(line, base)]
        rate = at.rows / at.median / cores
        figures[line] = {
            "rows": at.rows,
            "rows_per_s_per_core": round(rate, 1),
            "ratio_to_floor": round(floor.rows / floor.median / cores / rate, 3),
            "jvm_us_per_row": round(statistics.median(at.jvm_s) / at.rows * 1e6, 2),
            "worker_us_per_row": round(statistics.median(at.worker_s) / at.rows * 1e6, 2),
            "peak_rss_mb": round(at.worker_mib),
            "executor_rss_mb": round(at.jvm_mib),
            "seconds": [round(s, 2) for s in at.seconds],
            **{name: round(value, 4) for name, value in quality.get(line, {}).items()},
        }
    return figures


def growth_of(
    measured: dict[tuple[str, int], Measured], lines: Sequence[str], sizes: Sequence[int]
) -> dict[str, dict[int, float]]:
    """Microseconds a row by line and size, without the slow lines."""
    return {
        line: {rows: round(measured[line, rows].median / rows * 1e6, 3) for rows in sizes if fits(line, rows)}
        for line in lines
        if line not in SLOW
    }
