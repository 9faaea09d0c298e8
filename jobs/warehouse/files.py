"""The file system that Spark writes to (local, HDFS, S3), through Hadoop's own client in the JVM."""

from typing import Any

from py4j.protocol import Py4JJavaError
from pyspark.sql import SparkSession


class Files:
    """File operations on absolute URIs below one root."""

    def __init__(self, spark: SparkSession, root: str):
        self._jvm: Any = spark._jvm
        self.root = root
        conf = spark._jsc.hadoopConfiguration()
        self._fs = self._path(root).getFileSystem(conf)

    def _path(self, uri: str) -> Any:
        return self._jvm.org.apache.hadoop.fs.Path(uri)

    def exists(self, uri: str) -> bool:
        """Whether there is a file or folder."""
        return bool(self._fs.exists(self._path(uri)))

    def names(self, uri: str) -> list[str]:
        """Sorted names in a folder; empty when there is no such folder."""
        if not self.exists(uri):
            return []
        return sorted(status.getPath().getName() for status in self._fs.listStatus(self._path(uri)))

    def make_folder(self, uri: str) -> None:
        """Create a folder and its parents."""
        self._fs.mkdirs(self._path(uri))

    def rename(self, uri: str, target: str) -> None:
        """Move a file within the file system; fails when it is missing."""
        if not self._fs.rename(self._path(uri), self._path(target)):
            raise OSError(f"{uri} cannot be moved to {target}")

    def delete(self, uri: str) -> None:
        """Delete a file or a folder with its content, if it exists."""
        self._fs.delete(self._path(uri), True)

    def size(self, uri: str) -> int:
        """Bytes of all files in a folder, or of a file."""
        return int(self._fs.getContentSummary(self._path(uri)).getLength())

    def write(self, uri: str, content: bytes) -> None:
        """Write a small file."""
        stream = self._fs.create(self._path(uri), True)
        stream.write(bytearray(content))
        stream.close()

    def write_text(self, uri: str, text: str) -> None:
        """Write a small file under a temporary name, then rename it: a reader sees all of it or none."""
        staged = f"{uri}.tmp"
        self.write(staged, text.encode())
        self._fs.rename(self._path(staged), self._path(uri))

    def read_text(self, uri: str) -> str:
        """The content of a small file; raises FileNotFoundError when it is missing."""
        try:
            stream = self._fs.open(self._path(uri))
        except Py4JJavaError as e:
            # An unreachable file system must not look like a missing file.
            if e.java_exception.getClass().getName() != "java.io.FileNotFoundException":
                raise
            raise FileNotFoundError(uri) from e
        try:
            return str(self._jvm.org.apache.commons.io.IOUtils.toString(stream, "UTF-8"))
        finally:
            stream.close()
