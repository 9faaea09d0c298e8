"""The files of an --input: a path that exists literally, or else a glob; folders with all their subfolders."""

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from pyspark.sql import DataFrameReader, SparkSession

from distill.errors import BadInput
from jobs.common.privacy import redact_text

GLOB = re.compile(r"[][{}*?\\]")
SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
# Spark's own switch: without it every path is a glob, and no glob of Hadoop matches a name with a colon.
LITERAL = {"__globPaths__": "false"}
# Hadoop's local file system keeps check sums in `.NAME.crc`, a path that it cannot build for a NAME with a colon.
WITHOUT_CHECK_SUMS = {"fs.file.impl": "org.apache.hadoop.fs.RawLocalFileSystem", "fs.file.impl.disable.cache": "true"}


class Input:
    """The files of an input, as Spark lists them: without names that begin with `_` or `.`.

    Raises BadInput when there is no file, and Spark's exception for a path that it cannot list.
    """

    def __init__(self, spark: SparkSession, path: str | list[str]):
        self.spark = spark
        self.shown = shown(path)
        given = [without_scheme_by_mistake(p) for p in ([path] if isinstance(path, str) else path)]
        self.options = {"recursiveFileLookup": "true"}
        self.paths = given
        if all(exists(spark, p) for p in given if GLOB.search(p)):
            self.options |= LITERAL
        else:
            self.paths = [literal_or_glob(spark, p) for p in given]
        # Spark's URIs, percent-encoded. Listing as text infers no schema, so nothing is opened.
        self.files = [uri for uri in self.reader().text(self.paths).inputFiles() if not is_hidden(uri)]
        if not self.files:
            raise BadInput(f"--input {self.shown} holds no file; names that begin with _ or . are not read")
        if any(uri.startswith("file:") and ":" in uri.rpartition("/")[2] for uri in self.files):
            self.options |= WITHOUT_CHECK_SUMS

    def reader(self) -> DataFrameReader:
        """A reader of Spark that finds the files in subfolders and infers no column from their names."""
        return self.spark.read.options(**self.options)

    def hadoop_conf(self) -> Any:
        """Hadoop's configuration with the same options."""
        conf = self.spark._jsparkSession.sessionState().newHadoopConf()
        for key, value in self.options.items():
            conf.set(key, value)
        return conf


def shown(path: str | list[str]) -> str:
    """An --input in messages."""
    return path if isinstance(path, str) else " ".join(path)


def as_path(uri: str) -> str:
    """The path of one of Spark's URIs."""
    return re.sub("^file:/*(?=/)", "", unquote(uri))


def is_hidden(uri: str) -> bool:
    """Whether Spark lists the file but does not read it: Parquet's summaries `_metadata`."""
    name = uri.rpartition("/")[2]
    return name.startswith("_") and "=" not in name


def without_scheme_by_mistake(path: str) -> str:
    """The path, changed so that Hadoop does not take a name before a colon for the scheme of a URI."""
    return f"./{path}" if ":" in path.partition("/")[0] and not SCHEME.match(path) else path


def literal_or_glob(spark: SparkSession, path: str) -> str:
    """The path as a glob whose longest existing leading part is escaped."""
    parts = path.split("/")
    for end in range(len(parts), 0, -1):
        head = "/".join(parts[:end])
        if not GLOB.search(head):
            break
        if exists(spark, head):
            return "/".join([GLOB.sub(r"\\\g<0>", head), *parts[end:]])
    return path


def exists(spark: SparkSession, path: str) -> bool:
    """Whether a file or folder has exactly this name."""
    jvm: Any = spark._jvm
    here = jvm.org.apache.hadoop.fs.Path(path)
    return bool(here.getFileSystem(spark._jsparkSession.sessionState().newHadoopConf()).exists(here))


def check_columns(path: str, names: Sequence[str], fields: Sequence[str], needed: int) -> None:
    """Raise BadInput unless the names hold the first `needed` fields, and no field twice."""
    # The first line of a file without a header is data, so it is redacted.
    listed = f"its columns are {', '.join(redact_text(name)[:40] for name in names)}"
    if missing := [name for name in fields[:needed] if name not in names]:
        raise BadInput(f"--input {path} has no column {', '.join(missing)}; {listed}")
    if twice := [name for name in fields if names.count(name) > 1]:
        raise BadInput(f"--input {path} has two columns {', '.join(twice)}; {listed}")
