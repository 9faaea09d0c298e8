"""The saved models of a home, the champion and its threshold, and the history of both.

    ROOT/versions/VERSION/            bundles, never changed once there
    ROOT/champion                     JSON: the last switch, of which `version` is the model in use
    ROOT/history/TIME-VERSION.json    every switch, one file each, only ever added

ROOT is a local path or a pyarrow.fs URI.
"""

import difflib
import getpass
import os
import posixpath
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from pyarrow import fs as pafs

from distill.errors import BadInput, BadModel, Busy
from distill.models import bundle
from distill.models.fitness import promotion_blocker
from distill.models.saved_model import SavedModel
from distill.models.storage import Location, file_system, storage_errors
from distill.models.switch_files import SwitchFiles, names_in
from distill.models.switches import Action, Switch, check_operating, in_force
from distill.models.versions import VERSION, checked_version

CHAMPION = "champion"


class Registry:
    """The models under one root, which is created with the first model."""

    def __init__(self, root: Location) -> None:
        """Neither reads nor creates anything; errors as `storage.file_system`."""
        self.root = os.fspath(root)
        self._fs, self._path = file_system(root)
        self._switches = SwitchFiles(self.root, self._fs, self._path)

    def path(self, version: str) -> str:
        """The path of a version's bundle, which may not exist yet, for `bundle.load` and `bundle.save`.

        Raises:
            BadInput: this is not the name of a version.
        """
        name = f"versions/{checked_version(version)}"
        if "://" not in self.root:
            return posixpath.join(self._path, name)
        uri = urlsplit(self.root)  # S3 keeps its region and endpoint in a query, which stays at the end
        return uri._replace(path=f"{uri.path.rstrip('/')}/{name}").geturl()

    def add(
        self, version: str, tensors: bundle.Tensors, files: Mapping[str, bytes], manifest: Mapping[str, Any]
    ) -> str:
        """Save a new version and return its path; arguments and errors as `bundle.save`."""
        path = self.path(version)
        bundle.save(path, tensors, files, manifest)
        return path

    def versions(self) -> list[str]:
        """The names of all versions, sorted."""
        with storage_errors(self.root):
            names = names_in(self._fs, posixpath.join(self._path, "versions"))
        return [name for name in names if VERSION.fullmatch(name)]

    def resolve(self, name: str) -> str:
        """The version of a name: "champion", a version, a scheme's newest ("bert"), or "bert@" and the rest.

        Raises:
            BadModel: no version has this name.
        """
        if name == CHAMPION:
            return self._in_use().version
        versions = self.versions()
        if (exact := name.replace("@", "-", 1)) in versions:
            return exact
        newest = [v for v in versions if re.fullmatch(rf"{re.escape(name)}-[0-9]{{8}}T[0-9]{{6}}Z-[0-9a-f]{{6}}", v)]
        if not newest:
            there = ", ".join(difflib.get_close_matches(exact, versions, n=3, cutoff=0)) or "none yet"
            raise BadModel(f"no model {name} in {self.root}; the nearest there: {there}")
        return newest[-1]

    def load(self, version: str) -> SavedModel:
        """The named version, or the one in use for "champion"; the champion has its operating threshold.

        Other versions score as they were trained.

        Raises:
            BadModel: the champion or the version is missing, or a file of it is damaged.
            BadInput: this is not the name of a version.
        """
        current = self._in_use() if version == CHAMPION else self.champion()
        if current is not None and version == CHAMPION:
            version = current.version
        folder = posixpath.join(self._path, "versions", checked_version(version))
        with storage_errors(self.root):
            if self._fs.get_file_info(folder).type == pafs.FileType.NotFound:
                nearest = difflib.get_close_matches(version, self.versions(), n=3, cutoff=0)
                there = f"the nearest there: {', '.join(nearest)}" if nearest else "none is there yet"
                raise BadModel(f"no version {version} in {self.root}; {there}")
        path = self.path(version)
        # Version and threshold come from one read of the champion file.
        operating = current.operating if current and current.version == version else None
        return SavedModel(version, path, bundle.load(path), operating)

    def champion(self) -> Switch | None:
        """The switch that made the current champion; None before the first.

        Raises:
            BadModel: the champion file is damaged.
        """
        return self._switches.champion()

    def history(self) -> list[Switch]:
        """Every switch, oldest first."""
        return self._switches.history()

    def promote(self, version: str, reason: str, operating: Mapping[str, Any] | None = None) -> Switch:
        """Make a version the champion; nothing changes if it already is.

        operating: the threshold that it starts with, as in `set_threshold`; None: the one that it last had, if any.

        Raises:
            BadModel: the version is missing, or its bundle is damaged.
            BadInput: this is not the name of a version, `promotion_blocker` refuses it, or the reason is missing.
        """
        saved = self.load(checked_version(version))
        if why := promotion_blocker(saved.bundle.manifest):
            raise BadInput(f"{version} {why}")
        current = self.champion()
        if current is not None and current.version == version:
            return current
        if operating is not None:
            check_operating(operating)
            return self._switch("promote", version, current, reason, dict(operating))
        last = self._switches.last_of(version)
        return self._switch("promote", version, current, reason, last.operating if last else None)

    def set_threshold(self, version: str, operating: Mapping[str, Any], reason: str) -> Switch:
        """Make `operating` the champion's threshold: a `value` between 0 and 1 and the evidence for it.

        Raises:
            Busy: another version is the champion now.
            BadInput: the value is out of range, or the reason is missing.
        """
        current = self._in_use()
        if current.version != version:
            raise Busy(f"{current.version} became the champion while a threshold of {version} was chosen; run it again")
        check_operating(dict(operating))
        return self._switch("threshold", version, current, reason, dict(operating))

    def rollback(self, reason: str) -> Switch:
        """Undo the last decision in force: restore the threshold before it, or the version promoted before it.

        A restored version has the threshold that it last had. A second rollback goes one decision further back, never
        to the version that was just rolled back.

        Raises:
            BadModel: there is no champion, or the version before it is missing or damaged.
            BadInput: no version was promoted before it, or the reason is missing.
        """
        current = self._in_use()
        states = in_force([*(switch for switch in self.history() if switch != current), current])
        if len(states) < 2:
            raise BadInput(f"no version was promoted before champion {current.version}: promote one by its name")
        version, operating = states[-2]
        self.load(version)
        return self._switch("rollback", version, current, reason, operating)

    def _in_use(self) -> Switch:
        current = self.champion()
        if current is None:
            raise BadModel(
                f"no champion in {self.root}: train one with opinion distill_student "
                "and promote it with opinion registry promote VERSION"
            )
        return current

    def _switch(
        self, action: Action, version: str, current: Switch | None, reason: str, operating: dict[str, Any] | None
    ) -> Switch:
        if not reason.strip():
            raise BadInput(f"{action} needs a reason, which the history keeps")
        at = datetime.now(UTC).isoformat(timespec="microseconds")
        previous = current.version if current else None
        before = current.operating if current else None
        switch = Switch(version, previous, action, reason.strip(), at, _user(), operating, before)
        self._switches.write(switch, current)
        return switch


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container may run a user id that has no name
        return str(os.getuid())
