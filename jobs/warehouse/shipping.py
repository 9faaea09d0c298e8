"""Ship code and bundles to executors, and check on arrival that they are the driver's.

Each job packs the code as a zip, as for --py-files, and a bundle as an archive: Spark ships no folder of the driver's
disk to a cluster. Packages come from jobs/ship.py or an image, so they may be of other versions. A worker compares
versions with the driver's and refuses a difference by name: a score must not depend on the host.
"""

import hashlib
import importlib.resources
import platform
import posixpath
import socket
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.resources.abc import Traversable
from pathlib import Path

import pyspark
from pyarrow import fs as pafs
from pyspark import SparkFiles
from pyspark.sql import SparkSession

from distill.errors import Infrastructure, OpinionError
from distill.models import bundle as bundles
from distill.models.bundle import Bundle
from distill.models.packages import SCORING, TRAINING, installed
from distill.models.storage import file_system, read_file, storage_errors

PACKAGES = ("distill", "jobs")


def ship_code(spark: SparkSession) -> None:
    """Send `distill` and `jobs` to all executors, where there are other hosts."""
    context = spark.sparkContext
    if not str(context.master).startswith("local") and not any(uri.endswith("/code.zip") for uri in context.listFiles):
        target = Path(tempfile.mkdtemp(prefix="code-")) / "code.zip"
        pack_code(target)
        context.addPyFile(str(target))


def pack_code(target: Path) -> None:
    """The Python files of this checkout as a zip that Python imports from; equal code gives equal bytes."""
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in code_files():
            zipped.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)


def code_files() -> Iterator[tuple[str, bytes]]:
    """Path and content of every Python file of the project, in a fixed order, from a checkout or from the zip."""
    for package in PACKAGES:
        yield from _python_files(importlib.resources.files(package), package)


def _python_files(folder: Traversable, path: str) -> Iterator[tuple[str, bytes]]:
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _python_files(item, f"{path}/{item.name}")
        elif item.name.endswith(".py"):
            yield f"{path}/{item.name}", item.read_bytes()


def ship(spark: SparkSession, path: str) -> None:
    """Send a bundle, by its path in the registry, to all executors; `received` opens it there by its folder name.

    Raises Infrastructure when it cannot be read.
    """
    fs, root = file_system(path)
    name = posixpath.basename(root)
    if any(uri.endswith(f"#{name}") for uri in spark.sparkContext.listArchives):
        return
    archive = Path(tempfile.mkdtemp(prefix="bundle-")) / f"{name}.zip"
    with storage_errors(path), zipfile.ZipFile(archive, "w") as zipped:
        for file in fs.get_file_info(pafs.FileSelector(root)):
            if file.is_file and not file.base_name.startswith("."):
                zipped.writestr(file.base_name, read_file(fs, file.path))
    spark.sparkContext.addArchive(f"{archive.as_uri()}#{name}")  # a path may have a blank


def received(folder: str, digest: str) -> Bundle:
    """The bundle in the folder that Spark unpacked on this executor.

    Raises OpinionError for another digest, BadModel for a damaged bundle.
    """
    bundle = bundles.load(SparkFiles.get(folder))
    if bundle.digest != digest:
        raise OpinionError(f"the bundle {folder} on this executor is not the driver's; run the job again")
    return bundle


def versions(packages: tuple[str, ...] = SCORING) -> dict[str, str]:
    """Versions that driver and executor must share: name -> version; for our own code a digest of its files."""
    code = hashlib.sha256()
    for name, content in code_files():
        code.update(f"{name}\0".encode() + content)
    return {
        "python": ".".join(platform.python_version_tuple()[:2]),
        "pyspark": pyspark.__version__,
        **{name: installed(name) or "missing" for name in packages},
        "code of distill and jobs": code.hexdigest()[:12],
    }


def check_versions(driver: dict[str, str]) -> None:
    """Compare the `versions` of the driver with those of this process; raises Infrastructure naming what differs."""
    packages = tuple(name for name in driver if name in TRAINING)
    here = versions(packages)
    differ = [f"{name} is {here[name]}, the driver's {driver[name]}" for name in driver if here[name] != driver[name]]
    if differ:
        raise Infrastructure(
            f"executor on {socket.gethostname()} differs from the driver: {'; '.join(differ)}; "
            "ship the environment again: make ship"
        )
