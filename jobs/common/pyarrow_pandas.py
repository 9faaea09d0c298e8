"""pyarrow without pandas in a Python worker.

pyarrow imports pandas with the first array that it makes, to know pandas' own types. No worker uses pandas, and the
import takes 35 MiB and a quarter of a second of each.
"""

import sys
from importlib.abc import MetaPathFinder

import pyarrow as pa


class NoPandas(MetaPathFinder):
    """An importer that finds no pandas."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> None:
        """Raise ImportError for pandas; leave all else to the others."""
        if fullname == "pandas":
            raise ImportError(fullname)


def skip_pandas() -> None:
    """In a worker, let pyarrow look for pandas and find none; `to_pandas` would still import it."""
    from pyspark import TaskContext  # late: commands that need no Spark import this module

    if TaskContext.get() is None or "pandas" in sys.modules:
        return
    sys.meta_path.insert(0, finder := NoPandas())
    try:
        pa.scalar(0)  # pyarrow looks once
    finally:
        sys.meta_path.remove(finder)
