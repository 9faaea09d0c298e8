import json
from datetime import UTC, datetime

import numpy as np
import pytest

from distill.errors import BadInput, BadModel, Infrastructure
from distill.models.registry import Registry
from distill.models.versions import anchor_name, new_version
from tests.distill.models.tiny_registry import NOON, add, start

GOOD = "textcnn-20261123T201500Z-1a2b3c"
BAD_NAMES = [
    "",
    "..",
    "../x",
    "/etc",
    "champion",
    "x'; DROP TABLE opinion_score;--",
    f"../{GOOD}",
    f"a/{GOOD}",
]
BAD_NAMES += [f"{GOOD}\n", f"{GOOD}/..", f"投诉{GOOD}", GOOD.upper(), GOOD[:-1], GOOD.replace("T", " ")]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_what_is_no_version_name_is_refused_everywhere(registry, name):
    add(registry)
    calls = [registry.path, lambda v: registry.promote(v, "why"), lambda v: registry.add(v, {}, {}, {})]
    calls += [] if name == "champion" else [registry.load]
    for call in calls:
        with pytest.raises(BadInput, match="is not the name of a version"):
            call(name)
    assert registry.champion() is None


def test_an_empty_registry_says_how_to_begin(registry):
    assert (registry.versions(), registry.champion(), registry.history()) == ([], None, [])
    with pytest.raises(BadModel, match=r"no champion in .*registry: train one .* promote VERSION"):
        registry.load("champion")
    with pytest.raises(BadModel, match="no champion"):
        registry.rollback("why")
    with pytest.raises(BadModel, match="none is there yet"):
        registry.load(GOOD)


def test_an_unknown_version_names_the_nearest(registry):
    near, _, _, far = (add(registry, scheme) for scheme in ["textcnn", "textcnn", "textcnn", "bert"])
    for call in (registry.load, lambda v: registry.promote(v, "why")):
        with pytest.raises(BadModel) as caught:
            call("textcnm" + near[len("textcnn") :])
        assert near in str(caught.value)
        assert far not in str(caught.value)


def test_promote_and_rollback_are_recorded(registry):
    first, second = add(registry, weight=1), add(registry, weight=2)
    with pytest.raises(BadInput, match="needs a reason"):
        registry.promote(first, "  ")
    registry.promote(first, "first model")
    registry.promote(second, "  AUC 更好 ")
    assert registry.load("champion").version == second
    switch = registry.rollback("complaints\nof users")
    saved = registry.load("champion")
    assert (saved.version, saved.bundle.tensors["w"][0]) == (first, 1.0)
    assert saved.path == registry.path(first)
    assert registry.champion() == switch
    assert [(s.action, s.version, s.previous, s.reason) for s in registry.history()] == [
        ("promote", first, None, "first model"),
        ("promote", second, first, "AUC 更好"),
        ("rollback", first, second, "complaints\nof users"),
    ]
    assert switch.by and datetime.fromisoformat(switch.at).tzinfo == UTC


def test_a_teacher_is_not_promoted(registry, tmp_path):
    first, teacher = add(registry), add(registry, "bert")
    registry.promote(first, "x")
    manifest = tmp_path / "registry" / "versions" / teacher / "manifest.json"
    content = json.loads(manifest.read_text(encoding="utf-8")) | {"architecture": {"kind": "bert"}}
    manifest.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(BadInput, match=f"{teacher} is a bert"):
        registry.promote(teacher, "x")
    assert registry.champion().version == first


def test_a_name_means_the_newest_of_its_scheme_and_never_an_anchor(registry):
    older = "bert-20261123T201500Z-ffffff"
    newer = "bert-20261124T201500Z-000000"
    student = add(registry)
    for version in (
        older,
        newer,
        anchor_name(newer, 120),
        anchor_name(newer, 1200),
        "bert-base-20261125T201500Z-000000",
    ):
        registry.add(version, {"w": np.ones(1)}, {"vocabulary": b""}, {})
    assert registry.resolve("bert") == newer
    assert registry.resolve("bert@20261123T201500Z-ffffff") == registry.resolve(older) == older
    assert registry.resolve(f"{newer}-step-120") == "bert-20261124T201500Z-000000-step-120"
    registry.promote(student, "x")
    assert registry.resolve("champion") == student
    for missing in ("bart", "bert@20261123T201500Z-eeeeee", "be", "bert-20261123T201500Z-ffffff-step-1", ".*"):
        with pytest.raises(BadModel, match="the nearest there"):
            registry.resolve(missing)


def test_promoting_the_champion_again_changes_nothing(registry):
    first, second = add(registry), add(registry)
    registry.promote(first, "x")
    switch = registry.promote(second, "x")
    assert registry.promote(second, "y") == switch
    assert registry.rollback("still knows the one before").version == first


def test_a_version_that_does_not_load_is_not_promoted_nor_rolled_back_to(registry, tmp_path):
    first, second = add(registry), add(registry)
    registry.promote(first, "x")
    registry.promote(second, "x")
    for version in (first, second):
        (tmp_path / "registry" / "versions" / version / "vocabulary").write_bytes(b"WORD\n")
    with pytest.raises(BadModel, match=f"{first}: vocabulary is altered"):
        registry.rollback("x")
    with pytest.raises(BadModel, match=f"{first}: vocabulary is altered"):
        registry.promote(first, "x")
    assert registry.champion().version == second
    with pytest.raises(BadModel, match=f"{second}: vocabulary is altered"):
        registry.load("champion")


def test_a_uri_is_the_same_registry_and_keeps_its_query(registry, tmp_path):
    version = add(registry)
    by_uri = Registry((tmp_path / "registry").as_uri() + "/")
    by_uri.promote(version, "x")
    assert registry.load("champion").version == by_uri.load("champion").version == version
    by_uri.root = "s3://bucket/models/?region=eu-west-1"
    assert by_uri.path(version) == f"s3://bucket/models/versions/{version}?region=eu-west-1"


def test_a_root_that_cannot_be_written_is_infrastructure(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(Infrastructure, match="file"):
        add(Registry(tmp_path / "file"))


SAVER = """
import sys, time
import numpy as np
from distill.models import bundle
from distill.models.registry import Registry

write = bundle.write_file

def stall(fs, path, data):
    if path.endswith(sys.argv[3]):
        write(fs, path, data[: len(data) // 2])
        print("ready", flush=True)
        time.sleep(60)
    write(fs, path, data)

bundle.write_file = stall
Registry(sys.argv[1]).add(sys.argv[2], {"w": np.ones(1000)}, {"vocabulary": b"word"}, {})
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["model.safetensors", "vocabulary", "manifest.json"])
def test_a_saver_killed_halfway_leaves_no_version_and_may_save_again(registry, tmp_path, name):
    whole, killed = add(registry), new_version("killed", NOON)
    with start(SAVER, registry.root, killed, name) as saver:
        saver.kill()
    left = [path.name for path in (tmp_path / "registry" / "versions").iterdir() if path.name[0] != "."]
    assert left == registry.versions() == [whole]
    with pytest.raises(BadModel, match=f"no version {killed}"):
        registry.load(killed)
    registry.add(killed, {"w": np.ones(1)}, {"vocabulary": b"x"}, {})
    assert registry.load(killed).bundle.files == {"vocabulary": b"x"}
