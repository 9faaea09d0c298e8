import hashlib
import json
import os
import pickle
import tempfile
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from distill import __version__
from distill.errors import BadInput, BadModel, Infrastructure
from distill.models import bundle

TENSORS = {"embedding": np.arange(12, dtype=np.float32).reshape(4, 3), "bias": np.zeros(2, np.float16)}
FILES = {"vocabulary": "投诉\n退款\n".encode()}


@pytest.fixture
def saved(tmp_path):
    folder = tmp_path / "模型 one"
    bundle.save(folder, TENSORS, FILES, {"threshold": {"value": 0.5}})
    return folder


def edit_manifest(folder: Path, change) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_bytes())
    change(manifest)
    path.write_text(json.dumps(manifest))


def replace(folder: Path, name: str, data: bytes) -> None:
    """Put other content in a file and make the manifest agree, as someone with bad intent would."""
    (folder / name).write_bytes(data)
    entry = {"sha256": hashlib.sha256(data).hexdigest(), "bytes": len(data)}
    edit_manifest(folder, lambda manifest: manifest["files"].update({name: entry}))


def refused(folder: Path, *parts: str) -> None:
    with pytest.raises(BadModel) as caught:
        bundle.load(folder)
    for text in (str(folder), *parts):
        assert text in str(caught.value)


TENSOR_SETS = st.dictionaries(
    st.text(st.characters(codec="utf-8"), max_size=20).filter(lambda name: name != "__metadata__"),
    hnp.arrays(
        st.sampled_from([np.float32, np.float16, np.int32]),
        hnp.array_shapes(min_dims=0, min_side=0, max_dims=3),
        elements={"allow_nan": False, "allow_infinity": False},
    ),
    max_size=4,
)


@settings(deadline=None)  # a loaded disk is no failure
@given(tensors=TENSOR_SETS, vocabulary=st.text(st.characters(codec="utf-8")), note=st.text())
def test_what_is_saved_is_loaded(tensors, vocabulary, note):
    with tempfile.TemporaryDirectory() as home:
        try:
            note.encode()
        except UnicodeEncodeError:  # a lone surrogate is not text that can be stored
            with pytest.raises(BadInput):
                bundle.save(f"{home}/m", tensors, {"vocabulary": b""}, {"note": note})
            return
        bundle.save(f"{home}/m", tensors, {"vocabulary": vocabulary.encode()}, {"note": note})
        model = bundle.load(f"{home}/m")
        assert os.listdir(home) == ["m"]
    assert (model.files["vocabulary"].decode(), model.manifest["note"]) == (vocabulary, note)
    assert model.manifest["software_version"] == __version__
    assert model.tensors.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert (model.tensors[name].dtype, model.tensors[name].shape) == (tensor.dtype, tensor.shape)
        assert model.tensors[name].tobytes() == tensor.tobytes()


def test_views_and_byte_orders_keep_their_values(tmp_path):
    base = np.arange(24, dtype=np.float32).reshape(4, 6)
    views = {"turned": base.T, "strided": base[::2, ::-1], "swapped": base.astype(">f4"), "one": base[2, 3]}
    bundle.save(tmp_path / "m", views, FILES, {})
    for name, tensor in bundle.load(tmp_path / "m").tensors.items():
        np.testing.assert_array_equal(tensor, views[name])
        assert tensor.flags.writeable  # torch.from_numpy warns of those that are not


def test_manifest_bytes_depend_on_content_alone(tmp_path):
    bundle.save(tmp_path / "a", TENSORS, FILES, {"x": {"b": 1, "a": "投诉"}, "y": {}})
    bundle.save(tmp_path / "b", dict(reversed(TENSORS.items())), FILES, {"y": {}, "x": {"a": "投诉", "b": 1}})
    raw = (tmp_path / "a" / "manifest.json").read_bytes()
    assert raw == (tmp_path / "b" / "manifest.json").read_bytes()
    assert "投诉".encode() in raw
    assert bundle.load(tmp_path / "a").digest == hashlib.sha256(raw).hexdigest()


def test_a_uri_names_the_same_bundle_as_its_path(tmp_path):
    uri = (tmp_path / "deep" / "模型 1").as_uri()
    bundle.save(uri, TENSORS, FILES, {})
    assert bundle.load(uri).digest == bundle.load(tmp_path / "deep" / "模型 1").digest


def test_an_object_store_gets_the_manifest_last_and_no_rename(tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "OBJECT_STORES", ("local",))
    written, write = [], bundle.write_file
    monkeypatch.setattr(bundle, "write_file", lambda fs, path, data: written.append(path) or write(fs, path, data))
    bundle.save(tmp_path / "m", TENSORS, FILES, {})
    assert written == [str(tmp_path / "m" / name) for name in ("model.safetensors", "vocabulary", "manifest.json")]
    assert bundle.load(tmp_path / "m").files == FILES


def test_no_folder_no_manifest_or_one_of_something_else(tmp_path, saved):
    refused(tmp_path / "nowhere", "no such folder", "check the path")
    (saved / "manifest.json").unlink()
    refused(saved, "manifest.json is missing", "copy")
    for raw in (b"", b"{", b"\xff\xfe", b"[" * 200_000):
        (saved / "manifest.json").write_bytes(raw)
        refused(saved, "manifest.json is not JSON", "copy")
    for raw in (b"[]", b"null", b"{}", b'{"format": "other"}'):
        (saved / "manifest.json").write_bytes(raw)
        refused(saved, "manifest.json is not of format 'opinion-bundle'", "check the path")


@pytest.mark.parametrize("version", [2, 99, 0, "1", True, None, 1.0])
def test_format_version_that_is_not_understood(saved, version):
    edit_manifest(saved, lambda manifest: manifest.update(format_version=version))
    refused(saved, f"format_version {version!r}", "only 1 is understood", "upgrade")


@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary"])
def test_a_file_missing_truncated_altered_or_unlisted(saved, name):
    path = saved / name
    whole = path.read_bytes()
    path.unlink()
    refused(saved, f"{name} is missing", "copy")
    path.write_bytes(whole[:-1])
    refused(saved, f"{name} is truncated or altered: {len(whole) - 1} bytes", str(len(whole)), "copy")
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    refused(saved, f"{name} is altered", "SHA-256", "copy")
    path.write_bytes(whole)
    assert bundle.load(saved).files == FILES
    edit_manifest(saved, lambda manifest: manifest["files"].pop(name))
    refused(saved, "must list just", "manifest.json")


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "extra", "..", "manifest.json", ""])
def test_names_that_are_not_of_a_bundle_are_never_opened(saved, name):
    (saved.parent / "secret").write_bytes(b"")
    entry = {"sha256": hashlib.sha256(b"").hexdigest(), "bytes": 0}
    edit_manifest(saved, lambda manifest: manifest["files"].update({name: entry}))
    refused(saved, "must list just", name)


@pytest.mark.parametrize("files", [None, [], "vocabulary", {"model.safetensors": {}, "vocabulary": None}])
def test_files_section_of_another_shape(saved, files):
    edit_manifest(saved, lambda manifest: manifest.update(files=files))
    refused(saved, "manifest.json")


class Trap:
    def __reduce__(self):
        return os.mkdir, ("sprung",)


@pytest.mark.parametrize(
    "data",
    [
        pickle.dumps(Trap()),
        b"",
        b"abc",
        ((1 << 20) + 1).to_bytes(8, "little") + b"{" + b" " * (1 << 20),
        (1 << 62).to_bytes(8, "little") + b"{}",
        (2).to_bytes(8, "little") + b"[]",
        (64).to_bytes(8, "little") + b'{"w":{"dtype":"BF16","shape":[2],"data_offsets":[0,4]}}'.ljust(64) + b"1234",
    ],
    ids=["pickle", "empty", "short", "header-over-1-MiB", "header-huge", "header-no-object", "bfloat16"],
)
def test_tensors_that_are_not_safetensors(saved, data, monkeypatch):
    monkeypatch.chdir(saved.parent)
    replace(saved, "model.safetensors", data)
    refused(saved, "model.safetensors cannot be read as safetensors", "save the model again")
    assert not Path("sprung").exists()


def test_the_header_is_bounded_before_it_is_parsed(saved, monkeypatch):
    replace(saved, "model.safetensors", ((1 << 20) + 1).to_bytes(8, "little") + b" " * (1 << 21))
    monkeypatch.setattr("safetensors.numpy.load", lambda data: pytest.fail("parsed"))
    refused(saved, "header of 1048577 bytes")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite(saved, tmp_path, value):
    broken = {"w": np.array([1, value], np.float16)}
    with pytest.raises(BadModel, match="'w' holds NaN or infinity"):
        bundle.save(tmp_path / "m", broken, FILES, {})
    assert not (tmp_path / "m").exists()
    replace(saved, "model.safetensors", safetensors.numpy.save(broken))
    refused(saved, "model.safetensors", "'w' holds NaN or infinity", "train it again")


def test_an_existing_bundle_is_never_overwritten(saved):
    with pytest.raises(BadInput, match="already there"):
        bundle.save(saved, {}, FILES, {})
    assert bundle.load(saved).tensors.keys() == TENSORS.keys()
    assert os.listdir(saved.parent) == [saved.name]


@pytest.mark.parametrize(
    ("tensors", "files", "manifest"),
    [
        (TENSORS, {}, {}),
        (TENSORS, {**FILES, "../x": b""}, {}),
        (TENSORS, {"vocabulary": b"\xff"}, {}),
        (TENSORS, FILES, {"format_version": 2}),
        (TENSORS, FILES, {"metrics": {"auc": float("nan")}}),
        ({"w": np.array([None])}, FILES, {}),
        ({"__metadata__": np.zeros(2)}, FILES, {}),
        ({f"{i:0900}": np.zeros(1) for i in range(1200)}, FILES, {}),
    ],
)
def test_what_cannot_be_stored_is_refused_before_anything_is_written(tmp_path, tensors, files, manifest):
    with pytest.raises(BadInput):
        bundle.save(tmp_path / "m", tensors, files, manifest)
    assert os.listdir(tmp_path) == []


def test_storage_that_fails_is_infrastructure_and_leaves_nothing(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    with pytest.raises(Infrastructure, match="file"):
        bundle.save(tmp_path / "file" / "m", TENSORS, FILES, {})

    def full(fs, path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(bundle, "write_file", full)
    with pytest.raises(Infrastructure, match="No space left"):
        bundle.save(tmp_path / "m", TENSORS, FILES, {})
    assert os.listdir(tmp_path) == ["file"]


def test_a_location_of_no_known_file_system():
    with pytest.raises(BadInput, match="cannot read this location"):
        bundle.load("nosuch://host/x")
