"""The files of a registry's switches: the champion file, and one file per switch in its history.

A switch replaces the champion file by a rename: a reader finds the old champion or the new one, and of two switches at
once the last one wins.
"""

import contextlib
import json
import posixpath
import re
import secrets
import time
from dataclasses import asdict
from datetime import datetime

from pyarrow import fs as pafs

from distill.errors import BadInput, BadModel
from distill.models.storage import read_file, storage_errors, write_file
from distill.models.switches import Switch, check_operating
from distill.models.versions import VERSION, checked_version

# The pattern ignores foreign files in the folder, such as the ._* of macOS.
RECORD = re.compile(rf"[0-9][0-9T.]*Z-{VERSION.pattern}\.json")


class SwitchFiles:
    """The switches below the root of a registry; errors as `storage.storage_errors`."""

    def __init__(self, root: str, fs: pafs.FileSystem, path: str) -> None:
        self._root, self._fs = root, fs
        self._champion, self._history = posixpath.join(path, "champion"), posixpath.join(path, "history")

    def champion(self) -> Switch | None:
        """The switch that made the current champion; None before the first. Raises BadModel for a damaged file."""
        # HDFS deletes a file before it replaces it, so a reader in between retries.
        for wait in (0.05, 0.2, 0.5):
            with storage_errors(self._root), contextlib.suppress(FileNotFoundError):
                return self._read(self._champion)
            if not self._records():
                break
            time.sleep(wait)
        return None

    def history(self) -> list[Switch]:
        """Every switch, oldest first."""
        names = self._records()
        with storage_errors(self._root):
            return [self._read(posixpath.join(self._history, name)) for name in names]

    def last_of(self, version: str) -> Switch | None:
        """The newest switch that made the version, or its threshold, the champion's; None without one."""
        names = [name for name in self._records() if name.endswith(f"Z-{version}.json")]
        if not names:
            return None
        with storage_errors(self._root):
            return self._read(posixpath.join(self._history, names[-1]))

    def write(self, switch: Switch, current: Switch | None) -> None:
        """Make the switch, and record it; `current` is the one that it replaces."""
        with storage_errors(self._root):
            if current is not None:
                self._record(current)  # a process that was killed after its switch has not recorded it
            self._replace(self._champion, switch)
            self._record(switch)

    def _record(self, switch: Switch) -> None:
        stamp = re.sub(r"[^0-9T.]", "", switch.at.removesuffix("+00:00"))
        self._replace(posixpath.join(self._history, f"{stamp}Z-{switch.version}.json"), switch)

    def _replace(self, path: str, switch: Switch) -> None:
        self._fs.create_dir(posixpath.dirname(path))
        temporary = posixpath.join(posixpath.dirname(path), f".{secrets.token_hex(8)}.tmp")
        text = json.dumps(asdict(switch), ensure_ascii=False, indent=2) + "\n"
        write_file(self._fs, temporary, text.encode())
        self._fs.move(temporary, path)

    def _read(self, path: str) -> Switch:
        try:
            switch = Switch(**json.loads(read_file(self._fs, path)))
            checked_version(switch.version)
            for operating in (switch.operating, switch.previous_operating):
                if operating is not None:
                    check_operating(operating)
            datetime.fromisoformat(switch.at)
            return switch
        except (ValueError, TypeError, BadInput) as error:
            raise BadModel(f"{path} is damaged ({error}): delete it, then promote a version again") from error

    def _records(self) -> list[str]:
        with storage_errors(self._root):
            return [name for name in names_in(self._fs, self._history) if RECORD.fullmatch(name)]


def names_in(fs: pafs.FileSystem, folder: str) -> list[str]:
    """The sorted names in a folder; none for a missing folder."""
    return sorted(info.base_name for info in fs.get_file_info(pafs.FileSelector(folder, allow_not_found=True)))
