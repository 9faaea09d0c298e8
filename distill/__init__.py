"""Models, distillation and scoring: everything that knows torch and nothing that knows Spark."""

import os
from pathlib import Path

__version__ = "0.1.0"  # of the whole project: setup.py, the manifests of bundles and scoring_run take it from here
CHECKOUT = Path(__file__).resolve().parent.parent
# What set-up compiled and archived (jobs/warm_up): an archive, and cache/, which homes copy by the name in `stamp`.
WARM = CHECKOUT / ".venv" / "warm"


def home_folder() -> Path:
    """Folder of everything a run makes: `OPINION_HOME`, or `var/` in the checkout."""
    return Path(os.environ.get("OPINION_HOME") or CHECKOUT / "var").absolute()


def cache_folder() -> Path:
    """Folder in the home of what numba compiled and where matplotlib found fonts; one of its own for each set-up."""
    try:
        return home_folder() / "cache" / (WARM / "stamp").read_text(encoding="utf-8")
    except OSError:
        return home_folder() / "cache"


# numba and matplotlib read these at their import. By default they write beside the code or below the user's home, and a
# service user may be allowed neither. Code in an executor's zip has no home: spark_conf/ sets the folder there.
if CHECKOUT.is_dir():
    os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder() / "numba"))
    os.environ.setdefault("MPLCONFIGDIR", str(cache_folder() / "matplotlib"))
