"""A saved model: a folder of tensors and vocabulary, with a manifest that names and hashes both.

    model.safetensors   the tensors
    vocabulary          UTF-8 text: how texts become tokens; of a teacher instead tokenizer.json,
                        tokenizer_config.json and config.json, as transformers writes them
    manifest.json       format, format_version, software_version, files {name: {sha256, bytes}}, and the caller's own
                        sections

This module stores bundles and does not interpret them. There is no pickle: an untrusted bundle can fail to load, but
cannot run code.
"""

import contextlib
import hashlib
import json
import posixpath
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pyarrow import fs as pafs
from safetensors import SafetensorError

from distill import __version__
from distill.errors import BadInput, BadModel
from distill.models.storage import Location, file_system, read_file, storage_errors, write_file

FORMAT = "opinion-bundle"
FORMAT_VERSION = 1
TENSORS = "model.safetensors"
VOCABULARY = "vocabulary"
ENCODER_FILES = ("config.json", "tokenizer.json", "tokenizer_config.json")
TEXT_FILES = ({VOCABULARY}, set(ENCODER_FILES))  # of a student, of a teacher
MANIFEST = "manifest.json"
MAX_HEADER_BYTES = 1 << 20  # BERT's header is 25 KB; a wild length must not make the parser take all memory
OBJECT_STORES = ("s3", "gcs", "abfs")  # they have no folders, so none to rename
NOT_SAFETENSORS = (SafetensorError, ValueError, TypeError, KeyError)  # KeyError: a dtype numpy lacks, as BF16
COPY_AGAIN = "copy the bundle again from where it came"

Tensors = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Bundle:
    """A bundle whose every byte has been checked.

    `digest` is the SHA-256 of the manifest's bytes, which hold the hashes of all other files: it identifies the whole.
    """

    manifest: dict[str, Any]
    tensors: dict[str, NDArray[Any]]
    files: dict[str, bytes]
    digest: str


def save(folder: Location, tensors: Tensors, files: Mapping[str, bytes], manifest: Mapping[str, Any]) -> None:
    """Save a bundle, whole or not at all, to a new folder.

    A reader never sees half of a bundle: the folder appears by a rename. An object store cannot rename folders, so the
    manifest is written last. A killed save leaves at most a `.NAME.xxxxxxxx.tmp` in the parent folder.

    Args:
        folder: where to; its parents are made.
        tensors: name to array, any shape, any dtype that both numpy and safetensors have.
        files: name to UTF-8 text as bytes: exactly those of a student or of a teacher.
        manifest: the caller's sections, of JSON types; `format`, `format_version`, `software_version` and
            `files` are added.

    Raises:
        BadInput: the folder is already there, or what is given cannot be stored.
        BadModel: a tensor holds NaN or infinity.
        Infrastructure: the file system failed.
    """
    if set(files) not in TEXT_FILES:
        allowed = " or ".join(str(sorted(names)) for names in TEXT_FILES)
        raise BadInput(f"bundle {folder}: files must be exactly {allowed}, not {sorted(files)}")
    contents = {TENSORS: _pack(folder, tensors), **files}
    contents[MANIFEST] = _manifest_bytes(folder, contents, manifest)  # last: it makes the rest a bundle
    fs, path = file_system(folder)
    with storage_errors(folder):
        if fs.get_file_info(path).type != pafs.FileType.NotFound:
            raise BadInput(f"bundle {folder} is already there, and none is overwritten: save to a new folder")
        if fs.type_name in OBJECT_STORES:
            _write_all(fs, path, contents)
            return
        temporary = f"{posixpath.dirname(path)}/.{posixpath.basename(path)}.{secrets.token_hex(4)}.tmp"
        try:
            _write_all(fs, temporary, contents)
            fs.move(temporary, path)
        except BaseException:
            with contextlib.suppress(OSError):
                fs.delete_dir(temporary)
            raise


def load(folder: Location) -> Bundle:
    """Read a bundle and check every byte of it against the manifest.

    Raises:
        BadModel: no such bundle; not a bundle; of a newer format; or missing, truncated or altered files.
        BadInput: the folder's URI is of no known file system.
        Infrastructure: the file system failed.
    """
    manifest, digest = load_manifest(folder)
    fs, path = file_system(folder)
    with storage_errors(folder):
        contents = {n: _read_listed(fs, path, folder, n, entry) for n, entry in manifest["files"].items()}
    try:
        tensors = _unpack(contents.pop(TENSORS))
    except NOT_SAFETENSORS as error:
        why = f"{TENSORS} cannot be read as safetensors ({type(error).__name__}: {error})"
        raise BadModel(f"bundle {folder}: {why}; save the model again") from error
    _refuse_non_finite(folder, tensors)
    return Bundle(manifest=manifest, tensors=tensors, files=contents, digest=digest)


def load_manifest(folder: Location) -> tuple[dict[str, Any], str]:
    """The manifest alone and its SHA-256, without reading the files it names; errors as `load`."""
    fs, path = file_system(folder)
    with storage_errors(folder):
        if fs.get_file_info(path).type != pafs.FileType.Directory:
            raise BadModel(f"bundle {folder}: there is no such folder; check the path or the version")
        raw = _read_listed(fs, path, folder, MANIFEST)
    return _parse_manifest(folder, raw), _sha256(raw)


def _pack(folder: Location, tensors: Tensors) -> bytes:
    _refuse_non_finite(folder, tensors)
    try:
        # safetensors copies memory as it lies: a transposed view would be saved scrambled. And
        # not ascontiguousarray, which turns a scalar into a row of one.
        packed = safetensors.numpy.save({name: np.asarray(a, order="C") for name, a in tensors.items()})
        _unpack(packed)  # some of what can be written cannot be read, such as a name the format reserves
    except NOT_SAFETENSORS as error:
        raise BadInput(f"bundle {folder}: the tensors cannot be stored: {error}") from error
    return bytes(packed)


def _unpack(packed: bytes) -> dict[str, NDArray[Any]]:
    length = int.from_bytes(packed[:8], "little")
    if length > MAX_HEADER_BYTES:
        raise ValueError(f"header of {length} bytes, at most {MAX_HEADER_BYTES} are accepted")
    tensors: dict[str, NDArray[Any]] = safetensors.numpy.load(packed)
    return tensors


def _refuse_non_finite(folder: Location, tensors: Tensors) -> None:
    for name, tensor in tensors.items():
        if tensor.dtype.kind in "fc" and not np.isfinite(tensor).all():
            why = f"tensor {name!r} holds NaN or infinity, as after a training that diverged"
            raise BadModel(f"bundle {folder}: {TENSORS}: {why}; train it again")


def _manifest_bytes(folder: Location, contents: Mapping[str, bytes], sections: Mapping[str, Any]) -> bytes:
    files = {name: {"sha256": _sha256(data), "bytes": len(data)} for name, data in contents.items()}
    own = {"format": FORMAT, "format_version": FORMAT_VERSION, "software_version": __version__, "files": files}
    if own.keys() & sections.keys():
        raise BadInput(f"bundle {folder}: the manifest's {', '.join(own)} are written by the bundle itself")
    try:
        for name in contents.keys() - {TENSORS}:
            contents[name].decode()
        text = json.dumps({**own, **sections}, ensure_ascii=False, indent=2, sort_keys=True, allow_nan=False)
        return (text + "\n").encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise BadInput(f"bundle {folder}: a file or the manifest is not plain text: {error}") from error


def _parse_manifest(folder: Location, raw: bytes) -> dict[str, Any]:
    where = f"bundle {folder}: {MANIFEST}"
    try:
        manifest = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{where} is not JSON ({error}); {COPY_AGAIN}") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise BadModel(f"{where} is not of format {FORMAT!r}: this is another kind of folder; check the path")
    version = manifest.get("format_version")
    if type(version) is not int or version != FORMAT_VERSION:  # JSON's true would pass for 1
        why = f"has format_version {version!r}, and only {FORMAT_VERSION} is understood here"
        raise BadModel(f"{where} {why}: upgrade this program, or save the model again with it")
    files = manifest.get("files")
    if not isinstance(files, dict) or files.keys() - {TENSORS} not in TEXT_FILES or TENSORS not in files:
        listed = str([*files] if isinstance(files, dict) else files)[:200]  # no other name is ever opened
        allowed = " or ".join(str(sorted(names)) for names in TEXT_FILES)
        raise BadModel(f"{where} must list just {TENSORS} and {allowed}, not {listed}; {COPY_AGAIN}")
    if not all(isinstance(entry, dict) and entry.keys() >= {"sha256", "bytes"} for entry in files.values()):
        raise BadModel(f"{where} lacks the sha256 or bytes of a file; {COPY_AGAIN}")
    return manifest


def _read_listed(
    fs: pafs.FileSystem, path: str, folder: Location, name: str, entry: Mapping[str, Any] | None = None
) -> bytes:
    """One file of a bundle, checked against the manifest's entry of it; the manifest itself has none."""
    info = fs.get_file_info(posixpath.join(path, name))
    if info.type != pafs.FileType.File:
        raise BadModel(f"bundle {folder}: {name} is missing; {COPY_AGAIN}")
    if entry and info.size != entry["bytes"]:  # before reading: an untrusted file may have any size
        sizes = f"{info.size} bytes, {entry['bytes']} in the manifest"
        raise BadModel(f"bundle {folder}: {name} is truncated or altered: {sizes}; {COPY_AGAIN}")
    data = read_file(fs, posixpath.join(path, name))
    if entry and _sha256(data) != entry["sha256"]:
        raise BadModel(f"bundle {folder}: {name} is altered: its SHA-256 is not the manifest's; {COPY_AGAIN}")
    return data


def _write_all(fs: pafs.FileSystem, path: str, contents: Mapping[str, bytes]) -> None:
    fs.create_dir(path)
    for name, data in contents.items():
        write_file(fs, posixpath.join(path, name), data)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
