"""Java's options for a job whose days are few and small, by their bytes, before Java starts.

Its optimizing compiler pays off after minutes. Without it score_opinions takes 0.72 of the processors' time for 64,000
rows, 0.75 to 0.86 for 230,000 and 0.87 for a million (two rounds, one core): a fourth of a million is small for sure.
"""

import argparse
import glob
import os
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

from distill import home_folder

# Of packed bytes, as in Parquet or gzip: some 60 a row of short texts, so that 250,000 rows are small.
SMALL = 16 << 20
PLAIN = 3  # as many bytes of unpacked text hold a packed one
PACKED = (".gz", ".parquet", ".zst", ".zstd", ".bz2", ".snappy")
INPUT, STORED = ("load_opinions", "load_labels", "night"), ("score_opinions", "report_day")
QUICKLY = "-XX:TieredStopAtLevel=1"


def java_options(job: str, flags: Sequence[str]) -> str:
    """Java's options for a job with these flags; none where its days are large, or not of this machine's disks."""
    finder = argparse.ArgumentParser(add_help=False, allow_abbrev=False, exit_on_error=False)
    finder.add_argument("--input", nargs="+", default=[])
    for name in ("dt", "from", "to", "database"):
        finder.add_argument(f"--{name}", dest=name)
    try:
        args, _ = finder.parse_known_args(flags)
        days = days_of(args.dt or getattr(args, "from"), args.dt or args.to)
    except (argparse.ArgumentError, ValueError):
        return ""  # the job says what is wrong
    if job in INPUT and args.input:
        sizes = [packed_bytes(path.replace("{dt}", dt)) for path in args.input for dt in days or [""]]
    elif job in STORED:
        sizes = [stored_bytes(args.database or "opinion", dt) for dt in days]
    else:
        return ""
    known = [size for size in sizes if size]
    return QUICKLY if known and sum(known) <= SMALL else ""


def days_of(first: str | None, last: str | None) -> list[str]:
    """The days from the first to the last; raises ValueError for what is no day."""
    if not first or not last:
        return []
    begin, end = date.fromisoformat(first), date.fromisoformat(last)
    return [str(begin + timedelta(days)) for days in range((end - begin).days + 1)]


def packed_bytes(path: str) -> float:
    """Bytes of the files of a path, folder or glob, unpacked text counted for less; 0 for none of this machine."""
    total = 0.0
    for entry in map(Path, glob.glob(path.removeprefix("file://"))):
        files = (file for file in entry.rglob("*") if file.is_file()) if entry.is_dir() else [entry]
        total += sum(file.stat().st_size / (1 if file.suffix in PACKED else PLAIN) for file in files)
    return total


def stored_bytes(database: str, dt: str) -> float:
    """Bytes of a loaded day's files, by its largest run; 0 where the tables' files are not in this home."""
    runs = (home_folder() / "data" / database / "load_opinions" / f"dt={dt}").glob("run=*/table=raw_opinion")
    return max((packed_bytes(glob.escape(os.fspath(run))) for run in runs), default=0.0)
