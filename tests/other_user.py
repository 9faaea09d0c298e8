"""Another user for tests of who may write where; only root can become one."""

import os
import shutil
from pathlib import Path

import pytest

NOBODY = 65534
# May read all, as the interpreter may lie in a folder of the user that runs the tests, and writes to its own alone.
READS = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=+dac_read_search", "--bounding-set=-all,+dac_read_search"]
AS_NOBODY = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", *READS]
IS_ROOT = os.geteuid() == 0 and shutil.which("setpriv") is not None
as_root = pytest.mark.skipif(not IS_ROOT, reason="only root can become another user")


def nobodys(folder: Path) -> Path:
    """Make the folder, if it is not there, and give it to nobody."""
    folder.mkdir(parents=True, exist_ok=True)
    os.chown(folder, NOBODY, NOBODY)
    return folder
