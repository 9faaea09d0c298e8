"""The file system of the tables as Python reaches it, in the driver and in the workers, without the JVM."""

import logging
from collections.abc import Iterator
from urllib.parse import quote

import pyarrow as pa
from pyarrow import fs as pafs

from distill.errors import Infrastructure
from distill.models.storage import write_file
from jobs.common.privacy import BatchFunction, redact_errors
from jobs.warehouse.warehouse import Warehouse

log = logging.getLogger("opinion")


class Unreached(Infrastructure):
    """Python has no client for a file system, or the client fails."""


def opened(uri: str) -> tuple[pafs.FileSystem, str]:
    """The file system of a location of Hadoop's and the path on it; raises Unreached."""
    try:
        return pafs.FileSystem.from_uri(quote(uri, safe=":/@"))  # type: ignore[no-any-return]
    except (pa.ArrowInvalid, OSError, NotImplementedError) as e:
        raise Unreached(f"Python does not reach {uri}: {e}") from e


def reached_by_python(warehouse: Warehouse, folder: str) -> bool:
    """Whether driver and executors reach the folder, which Hadoop's client has made: a file of one is seen by all."""
    probe = f"{folder}/probe"
    try:
        fs, path = opened(probe)
        write_file(fs, path, b"")
        seen = warehouse.files.exists(probe) and seen_by_executors(warehouse, probe)
    except (Unreached, OSError) as e:
        log.info("Spark reads and writes for %s: %s", folder, e)
        return False
    warehouse.files.delete(probe)
    return seen


def seen_by_executors(warehouse: Warehouse, file: str) -> bool:
    """Whether a task on each core finds the file; on one machine the driver's answer is theirs."""
    context = warehouse.spark.sparkContext
    if str(context.master).startswith("local"):
        return True
    cores = context.defaultParallelism
    answers = warehouse.spark.range(0, cores, 1, cores).mapInArrow(redact_errors(finds(file)), "found boolean")
    return all(row.found for row in answers.collect())


def finds(file: str) -> BatchFunction:
    """The task: it yields whether it finds the file."""

    def find(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for _ in batches:
            try:
                fs, path = opened(file)
                found = fs.get_file_info(path).is_file
            except (Unreached, OSError):
                found = False
            yield pa.RecordBatch.from_pydict({"found": [found]})

    return find
