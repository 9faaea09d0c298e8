"""Files and folders of models, on any file system that pyarrow reaches."""

import contextlib
import os
from collections.abc import Iterator

import pyarrow as pa
from pyarrow import fs as pafs

from distill.errors import BadInput, Infrastructure

Location = str | os.PathLike[str]  # a local path or a pyarrow.fs URI


def file_system(location: Location) -> tuple[pafs.FileSystem, str]:
    """The file system of a local path or a URI, and the path on it; BadInput if pyarrow cannot read it."""
    text = os.fspath(location)
    if "://" not in text:
        return pafs.LocalFileSystem(), os.path.abspath(text)
    try:
        fs, path = pafs.FileSystem.from_uri(text)
    except pa.ArrowInvalid as error:
        cure = "give a path, or file://, hdfs:// or s3:// with blanks and letters beyond ASCII %-encoded"
        raise BadInput(f"{text}: pyarrow cannot read this location ({error}); {cure}") from error
    except OSError as error:
        raise Infrastructure(f"{text}: the file system cannot be reached: {error}") from error
    return fs, path.rstrip("/")


@contextlib.contextmanager
def storage_errors(location: Location) -> Iterator[None]:
    """Turn what a failing disk or file system raises into Infrastructure, with the place named."""
    try:
        yield
    except OSError as error:
        raise Infrastructure(f"{os.fspath(location)}: {error}") from error


def write_file(fs: pafs.FileSystem, path: str, data: bytes) -> None:
    """Write a whole file; its folder must be there."""
    with fs.open_output_stream(path) as stream:
        stream.write(data)


def read_file(fs: pafs.FileSystem, path: str) -> bytes:
    """Read a whole file."""
    with fs.open_input_stream(path) as stream:
        return bytes(stream.read())
