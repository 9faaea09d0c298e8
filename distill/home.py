"""Refuse a home folder that Spark cannot use or this user cannot write to, before anything starts.

python -m distill.home prints the folder for spark_conf/local/spark-env.sh, or an error line.
"""

import contextlib
import errno
import functools
import os
import pwd
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from distill import CHECKOUT, WARM, cache_folder, home_folder
from distill.errors import BadInput, Infrastructure, OpinionError

# Each means something to Java's class path, Spark's lists, Hadoop's patterns, Derby's addresses or the shell.
SIGNS = "'\"\\`$#%,;:?*|<>[]{}^"
# What a run makes directly below its home. Other entries, such as a disk's lost+found, are not checked.
MADE = ["audit", "cache", "data", "locks", "logs", "metastore_db", "registry", "reports", "retrain", "tensorboard"]
MADE += ["tmp", "train", "warehouse"]
# A run writes into these files again; all others are written once or replaced.
LOGS = ("jobs.log", "spark.log", "derby.log")
FULL_OF_FILES = ("locks", "metastore_db")
DEEP = 3  # data/<database>/<job>/<day>
BY_PERSONS = (errno.EACCES, errno.EPERM, errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP, errno.ENOENT)


def usable_home() -> Path:
    """The home folder, with its `logs/`.

    Raises BadInput for a path or an owner that it cannot use, Infrastructure when the disk fails.
    """
    folder = home_folder()
    refuse_signs(folder)
    try:
        (folder / "logs").mkdir(parents=True, exist_ok=True)
    except PermissionError as e:
        there = next(parent for parent in (folder / "logs").parents if parent.exists())
        raise BadInput(f"{not_ours(there)}; or set OPINION_HOME to a writable folder") from e
    except OSError as e:
        kind = BadInput if e.errno in BY_PERSONS else Infrastructure
        raise kind(f"cannot write to {folder}: {e.strerror}; set OPINION_HOME to a writable folder") from e
    refuse_foreign(folder)
    fill_cache(cache_folder())
    return folder


def fill_cache(folder: Path) -> None:
    """Copy what set-up compiled (jobs/warm_up.py) to a home that has not got it: whole, or not at all."""
    if folder.exists() or not (WARM / "cache").is_dir():
        return
    copy = folder.with_name(f".{folder.name}.{os.getpid()}")
    # Without it a run compiles anew, so no failure of it is one of the run's; another run may have been faster.
    with contextlib.suppress(OSError):
        shutil.copytree(WARM / "cache", copy)
        copy.rename(folder)
    shutil.rmtree(copy, ignore_errors=True)


def refuse_signs(folder: Path) -> None:
    """Raise BadInput for a path with a character that Spark would interpret."""
    for name, path in ((f"OPINION_HOME={folder}", folder), (f"the checkout {CHECKOUT}", CHECKOUT)):
        sign = next((c for c in str(path) if c in SIGNS or not c.isprintable()), None)
        if sign:
            shown = sign if sign.isprintable() and sign.isascii() else ascii(sign).strip("'")
            printed = "".join(c if c.isprintable() else ascii(c).strip("'") for c in name)
            raise BadInput(f"{printed} has the sign {shown} in its path, which Spark cannot use; choose another path")


@functools.cache
def refuse_foreign(folder: Path) -> None:
    """Raise BadInput for a file or folder that a run writes to and this user cannot."""
    for path in written_to(folder):
        if not writable(path):
            raise BadInput(not_ours(path, folder))


def written_to(folder: Path) -> Iterator[Path]:
    """Existing folders and files that runs write to, from the top; not the scratch of other runs in tmp/."""
    yield folder
    for name in MADE:
        top = folder / name
        for where, folders, files in os.walk(top):
            yield Path(where)
            if len(Path(where).relative_to(top).parts) == DEEP or name == "tmp":
                folders.clear()
            chosen = files if name in FULL_OF_FILES else [file for file in files if name == "logs" and file in LOGS]
            yield from (Path(where, file) for file in chosen)


def not_ours(path: Path, folder: Path | None = None) -> str:
    """The error line of a path: its owner, the user who cannot write to it, and the cure."""
    owner, me = user(path.stat().st_uid), user(os.geteuid())
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        raise Infrastructure(f"{path} is on a disk that is mounted read-only; set OPINION_HOME to another one")
    if owner == me:
        return f"{me} cannot write to {path}: chmod -R u+rwX {folder or path}"
    return f"{path} belongs to {owner}, and {me} cannot write to it; run as {owner}, or: chown -R {me} {folder or path}"


def writable(path: Path) -> bool:
    """Whether this process may write to the file, or make files in the folder."""
    return os.access(path, os.W_OK | os.X_OK if path.is_dir() else os.W_OK, effective_ids=True)


def user(uid: int) -> str:
    """The name of a user, or the number of one without a name."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


if __name__ == "__main__":
    try:
        sys.stdout.buffer.write(os.fsencode(usable_home()))
    except OpinionError as error:
        sys.stderr.buffer.write(f"error: {error}\n".encode(errors="replace"))
        sys.exit(error.exit_code)
