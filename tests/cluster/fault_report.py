"""The page of all fault scenarios and of the soak: benchmarks/results/faults.json and faults.md.

FAULTS_REPORT=$PWD/var/faults.jsonl make test-faults
.venv/bin/python -m tests.cluster.soak --minutes 10 --seed 1 --json var/soak.json
.venv/bin/python -m tests.cluster.fault_report var/faults.jsonl var/soak.json
"""

import json
import sys
from pathlib import Path
from typing import Any

from tests.cluster.cluster import ROOT

RESULTS = ROOT / "benchmarks" / "results"


def page(scenarios: list[dict[str, Any]], soak: dict[str, Any]) -> str:
    """The results for people."""
    commands = [f"    {line.strip()}" for line in (__doc__ or "").splitlines()[2:5]]
    lines = [
        "# Faults on the cluster",
        "",
        "Two workers, a Hive metastore on PostgreSQL, on 2 cores that others used too. Made by",
        "",
        *commands,
        "",
        "Rows are those of the day in `opinion_score` and `rejected_opinion`, of a training those of an epoch. A",
        "partition is whole when all its rows are of one run; there are five tables of two days. The tests compare",
        "their content too with that of a run without a fault. The exit code is the struck job's (-9: killed), of two",
        "jobs at once the refused one's. Seconds are from the start of the struck run until the day was right; where",
        "the next run mends it (driver or metastore killed), from that one's start; of a killed rank, from its death",
        "until the training had come to where the next one dies, or to its end.",
        "",
        "A driver dies within a task; at the first file it writes; with all rows staged; with them counted; right",
        "before each switch of a table; after the last one; and as it sweeps old files.",
        "",
        "| scenario | exit code | rows before | rows after | partitions whole | seconds |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    columns = ("scenario", "exit_code", "rows_before", "rows_after", "partitions_whole", "seconds")
    lines += [f"| {' | '.join(str(s.get(column, '')) for column in columns)} |" for s in scenarios]
    faults = ", ".join(f"{name} {count}" for name, count in sorted(soak["faults"].items()))
    lines += [
        "",
        f"{len(scenarios)} scenarios.",
        "",
        "## Soak",
        "",
        f"Seed {soak['seed']}, {soak['minutes']:g} minutes: {soak['steps']} steps, each a load or a scoring of one of",
        f"two days. While {sum(soak['faults'].values())} of them worked a fault struck:",
        f"{faults}.",
        "Of the others it came too late, or there was to be none.",
        f"{soak['refused_and_done_again']} attempts ended with an exit code and were made again; after every step both",
        f"days were whole, with 0 rows lost or doubled. The slowest step took {soak['slowest_step_s']} s.",
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Read what tests and soak have written, write both files."""
    told, soaked = (Path(name).read_text(encoding="utf-8") for name in sys.argv[1:3])
    scenarios = list({s["scenario"]: s for s in map(json.loads, told.splitlines())}.values())  # the last of each
    soak = json.loads(soaked)
    content = {"scenarios": scenarios, "soak": soak}
    (RESULTS / "faults.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (RESULTS / "faults.md").write_text(page(scenarios, soak), encoding="utf-8")


if __name__ == "__main__":
    main()
