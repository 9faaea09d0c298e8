"""Compare the small night of this checkout with that of an older commit: time each command, in interleaved rounds.

    .venv/bin/python benchmarks/small_night.py --against adf7644 --home HOME --day ../shared/data/stream/…jsonl.gz

HOME has a champion and stays as it is: each checkout works in a home of its own. The older commit gets a worktree in a
temporary folder and the packages of this environment. The machine may be shared, so the ratios of medians
count; the results give seconds of the wall and of the processors.
"""

import argparse
import json
import os
import resource
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import matplotlib.pyplot as plt

ROOT = Path(__file__).resolve().parent.parent
RESULTS = Path(__file__).parent / "results"
DT = "2026-11-10"
TARGETS = {"score_opinions": 0.5, "chain": 0.4, "demo": 0.6}
OLD, NEW = "before", "now"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--against", required=True, help="the older commit")
    parser.add_argument("--home", type=Path, required=True, help="a home with a champion")
    parser.add_argument("--day", type=Path, required=True, help="a day of the stream")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--demo-rounds", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="small-night-") as folder, checkout(args.against, Path(folder)) as old:
        sides = {OLD: Side(old, args, Path(folder)), NEW: Side(ROOT, args, Path(folder))}
        rounds = [{name: side.round() for name, side in sides.items()} for _ in range(args.rounds)]
        demos = [{name: side.demo() for name, side in sides.items()} for _ in range(args.demo_rounds)]
        phases = {name: side.phases() for name, side in sides.items()}
    lines = [line(command, rounds if command != "demo" else demos, phases) for command in (*rounds[0][NEW], "demo")]
    write([one for one in lines if one], shlex.join(["benchmarks/small_night.py", *sys.argv[1:]]))


class Side:
    """A checkout and a home of its own."""

    def __init__(self, root: Path, args: argparse.Namespace, folder: Path):
        self.root, self.day = root, args.day.resolve()
        self.home = Path(tempfile.mkdtemp(prefix=f"home-{root.name}-", dir=folder))
        shutil.copytree(args.home / "registry", self.home / "registry")
        self.has_night = (root / "jobs" / "night.py").exists()
        self.chain()  # the metastore, the tables and a day are there

    def run(self, *command: str, home: Path | None = None, **variables: str) -> dict[str, float]:
        """Seconds of the wall and of the processors that a command takes."""
        environment = os.environ | {"OPINION_HOME": str(home or self.home)} | variables
        before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic()
        done = subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True)
        wall, after = time.monotonic() - started, resource.getrusage(resource.RUSAGE_CHILDREN)
        if done.returncode:
            sys.exit(f"{self.root}: {shlex.join(command)} ended with {done.returncode}\n{done.stderr}")
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        print(f"{self.root.name:24} {' '.join(command[1:3]):36} {wall:6.1f} s, {cpu:6.1f} of processors", flush=True)
        return {"wall": wall, "cpu": cpu}

    def job(self, *words: str, **options: object) -> dict[str, float]:
        return self.run(".venv/bin/opinion", *words, **options)  # type: ignore[arg-type]

    def chain(self) -> dict[str, float]:
        """Load, score and report: three jobs, or one night."""
        load = ["--dt", DT, "--input", str(self.day)]
        if self.has_night:
            return self.job("night", *load)
        parts = [self.job("load_opinions", *load), self.job("score_opinions", "--dt", DT)]
        parts.append(self.job("report_day", "--dt", DT))
        return {kind: sum(part[kind] for part in parts) for kind in parts[0]}

    def round(self) -> dict[str, dict[str, float]]:
        """Each command once; the first run after an install finds no cache in the home."""
        times = {"score_opinions": self.job("score_opinions", "--dt", DT), "chain": self.chain()}
        shutil.rmtree(self.home / "cache")
        times["first_run"] = self.job("score_opinions", "--dt", DT)
        return times

    def demo(self) -> dict[str, dict[str, float]]:
        """`make demo` without its installs."""
        home = Path(tempfile.mkdtemp(prefix="demo-", dir=self.home))
        return {"demo": self.run(".venv/bin/python", "jobs/demo.py", home=home)}

    def phases(self) -> dict[str, float]:
        """Seconds of the processors by phase of score_opinions, in one run."""
        file = self.home / "phases.json"
        options = "-XX:TieredStopAtLevel=1" if self.has_night else ""
        conf = ["--properties-file", "spark_conf/local/spark-defaults.conf"]
        command = [".venv/bin/spark-submit", *conf, str(ROOT / "benchmarks" / "phases.py"), str(file)]
        self.run(*command, "score_opinions", "--dt", DT, SPARK_SUBMIT_OPTS=options)
        seconds: dict[str, float] = json.loads(file.read_text())
        return seconds


@contextmanager
def checkout(commit: str, folder: Path) -> Iterator[Path]:
    """A worktree of the commit, with an environment of hard links to this one's files."""
    root = folder / "before"
    subprocess.run(["git", "worktree", "add", "-q", "--detach", str(root), commit], cwd=ROOT, check=True)
    try:
        ignored = shutil.ignore_patterns("warm", "airflow", "__editable__*.pyc")
        shutil.copytree(ROOT / ".venv", root / ".venv", copy_function=os.link, symlinks=True, ignore=ignored)
        packages = next((root / ".venv" / "lib").glob("python3*/site-packages"))
        for file in (*(root / ".venv" / "bin").iterdir(), *packages.glob("*.pth"), *packages.glob("__editable__*.py")):
            if file.is_file() and not file.is_symlink() and str(ROOT).encode() in (content := file.read_bytes()):
                replace(file, content.replace(str(ROOT).encode(), str(root).encode()))
        for name in ("spark-submit", "spark-sql"):
            replace(root / ".venv" / "bin" / name, (root / "spark_conf" / "local" / "spark-command").read_bytes())
        yield root
    finally:
        subprocess.run(["git", "worktree", "remove", "--force", str(root)], cwd=ROOT, check=False)


def replace(file: Path, content: bytes) -> None:
    """Write a file anew, so that what is linked to it stays as it is."""
    mode = file.stat().st_mode
    file.unlink()
    file.write_bytes(content)
    file.chmod(mode)


Rounds = list[dict[str, dict[str, dict[str, float]]]]


def line(command: str, rounds: Rounds, phases: dict[str, dict[str, float]]) -> dict[str, object]:
    """A command's medians and their ratio; nothing for one that was not run."""
    if not rounds:
        return {}
    median = {
        (side, kind): statistics.median(one[side][command][kind] for one in rounds)
        for side in (OLD, NEW)
        for kind in ("wall", "cpu")
    }
    row: dict[str, object] = {
        "command": command,
        "ratio": round(median[NEW, "wall"] / median[OLD, "wall"], 3),
        "seconds": round(median[NEW, "wall"], 1),
        "seconds_before": round(median[OLD, "wall"], 1),
        "ratio_of_processors": round(median[NEW, "cpu"] / median[OLD, "cpu"], 3),
        "processor_seconds": round(median[NEW, "cpu"], 1),
        "processor_seconds_before": round(median[OLD, "cpu"], 1),
        "rounds": rounds,
        "phases": {},
    }
    if command == "score_opinions":
        names = dict.fromkeys((*phases[OLD], *phases[NEW]))
        row["phases"] = {name: [round(phases[side].get(name, 0), 2) for side in (OLD, NEW)] for name in names}
    if command == "first_run":
        for kind, name in (("wall", "seconds"), ("cpu", "processor_seconds")):
            extra = [one[NEW][command][kind] - one[NEW]["score_opinions"][kind] for one in rounds]
            row[f"{name}_more_than_second"] = round(statistics.median(extra), 1)
    return row


def write(lines: list[dict[str, object]], command: str) -> None:
    """The three files of the results."""
    text = json.dumps(lines, indent=1)
    (RESULTS / "small-night.json").write_text(text + "\n", encoding="utf-8")
    page = [
        "# The small night, compared with an older commit",
        "",
        f"`{command}`, on {os.cpu_count()} shared cores.",
        "",
    ]
    page += ["| command | ratio | s | s before | ratio of processors | processor s | before | wanted |"]
    page += ["| --- | --- | --- | --- | --- | --- | --- | --- |"]
    for one in lines:
        wanted = TARGETS.get(str(one["command"]), "")
        keys = ("command", "ratio", "seconds", "seconds_before", "ratio_of_processors", "processor_seconds")
        cells = [str(one[key]) for key in (*keys, "processor_seconds_before")]
        page.append(f"| {' | '.join(cells)} | {wanted and f'{wanted} ×'} |")
        if "seconds_more_than_second" in one:
            more, cpu = one["seconds_more_than_second"], one["processor_seconds_more_than_second"]
            page.append(f"| first_run over a later run | | {more} | | | {cpu} | | 3 s |")
    phases = next(one["phases"] for one in lines if one["command"] == "score_opinions")
    page += [
        "",
        "Seconds of the processors by phase of `score_opinions`:",
        "",
        "| phase | before | now |",
        "| --- | --- | --- |",
    ]
    page += [f"| {name} | {old} | {new} |" for name, (old, new) in phases.items()]  # type: ignore[attr-defined]
    (RESULTS / "small-night.md").write_text("\n".join([*page, "", "![](small-night.png)", ""]), encoding="utf-8")
    draw(lines)
    print("\n".join(page))


def draw(lines: list[dict[str, object]]) -> None:
    """Seconds of the wall, before and now, of each command."""
    figure, axes = plt.subplots(figsize=(6, 3), layout="constrained")
    for offset, key, colour in ((0.2, "seconds_before", "#6b7480"), (-0.2, "seconds", "#0072b2")):
        places = [at + offset for at in range(len(lines))]
        axes.barh(places, [float(str(one[key])) for one in lines], 0.38, color=colour, label=key.replace("_", " "))
    axes.set(yticks=range(len(lines)), yticklabels=[one["command"] for one in lines], xlabel="seconds, medians")
    axes.legend()
    figure.savefig(RESULTS / "small-night.png", dpi=160)


if __name__ == "__main__":
    main()
