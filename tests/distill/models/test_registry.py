import json
from datetime import UTC, datetime

import numpy as np
import pytest

from distill.errors import BadInput, BadModel, Busy, Infrastructure
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


@pytest.fixture
def registry(tmp_path):
    return Registry(tmp_path / "registry")


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


@pytest.mark.parametrize(
    ("steps", "champions"),
    [
        ("A B < <", "A B A !"),
        ("A B C < < <", "A B C B A !"),
        ("A B < C < <", "A B A C A !"),  # B, which was rolled back from, does not come back
        ("A B C < D < < <", "A B C B D B A !"),
        ("A B < B < <", "A B A B A !"),
        ("A B A < <", "A B A B A"),
        ("<", "!"),
        ("A .5 < <", "A A.5 A !"),
        ("A .5 .6 < <", "A A.5 A.6 A.5 A"),
        ("A .5 .5 < < <", "A A.5 A.5 A.5 A !"),  # the second is a decision of its own
        ("A .5 .6 < .7 < < <", "A A.5 A.6 A.5 A.7 A.5 A !"),  # .6, which was taken back, does not come back
        ("A .5 B < <", "A A.5 B A.5 A"),  # A comes back with the threshold that it last had
        ("A B .5 < < <", "A B B.5 B A !"),
        ("A .5 B .6 < < < <", "A A.5 B B.6 B A.5 A !"),
        ("A .5 B A .6 < < < <", "A A.5 B A.5 A.6 A.5 B A.5 A"),
        ("A .5 < B A < <", "A A.5 A B A B A"),  # nor with one that was taken back
        ("A B .5 < < B", "A B B.5 B A B"),
        ("A B .5 A B < <", "A B B.5 A B.5 A B.5"),
    ],
)
def test_each_rollback_goes_one_promotion_further_back(registry, steps, champions):
    """A letter promotes that version, .5 sets its threshold, < rolls back; ! stands for a refusal."""
    versions = {name: add(registry) for name in "ABCD"}
    names = {version: name for name, version in versions.items()}
    for step, wanted in zip(steps.split(), champions.split(), strict=True):
        if wanted == "!":
            before = registry.champion()
            with pytest.raises(BadInput if before else BadModel, match="promote"):
                registry.rollback("x")
            assert registry.champion() == before
        else:
            if step == "<":
                switch = registry.rollback("x")
            elif step in versions:
                switch = registry.promote(versions[step], "x")
            else:
                switch = registry.set_threshold(registry.champion().version, {"value": float(step)}, "x")
            threshold = f"{switch.operating['value']:g}"[1:] if switch.operating else ""
            assert names[switch.version] + threshold == wanted and registry.champion() == switch
            assert registry.load("champion").operating == switch.operating


def test_a_rollback_needs_no_more_history_than_there_is(registry, tmp_path):
    first, second, third = add(registry), add(registry), add(registry)
    for version in (first, second, third):
        registry.promote(version, "x")
    for record in (tmp_path / "registry" / "history").iterdir():
        record.unlink()
    assert registry.rollback("x").version == second
    with pytest.raises(BadInput, match="no version was promoted before champion"):
        registry.rollback("x")


def test_a_rollback_of_a_threshold_needs_no_more_history_than_there_is(registry, tmp_path):
    version = add(registry)
    registry.promote(version, "x")
    registry.set_threshold(version, {"value": 0.5}, "x")
    registry.set_threshold(version, {"value": 0.6}, "x")
    for record in (tmp_path / "registry" / "history").iterdir():
        record.unlink()
    assert registry.rollback("x").operating == {"value": 0.5}
    with pytest.raises(BadInput, match="no version was promoted before champion"):
        registry.rollback("x")


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


def test_a_threshold_is_a_decision_that_rollback_takes_back(registry):
    first, second = add(registry, weight=1), add(registry, weight=2)
    with pytest.raises(BadModel, match="no champion"):
        registry.set_threshold(first, {"value": 0.9}, "x")
    registry.promote(first, "x")
    assert registry.load(first).operating is None
    registry.set_threshold(first, {"value": 0.9, "labels": 100}, "first night")
    registry.set_threshold(first, {"value": 0.95, "labels": 200}, "second night")
    assert registry.load(first).operating == {"value": 0.95, "labels": 200} and registry.load(second).operating is None
    back = registry.rollback("too strict")
    assert (back.version, back.action, registry.load(first).operating) == (
        first,
        "rollback",
        {"value": 0.9, "labels": 100},
    )
    assert registry.rollback("again").operating is None and registry.load(first).operating is None
    with pytest.raises(BadInput, match="no version was promoted before champion"):
        registry.rollback("once more")
    registry.set_threshold(first, {"value": 0.9, "labels": 100}, "first night again")
    # Another champion begins with its own threshold; the old one comes back with the one it had.
    registry.promote(second, "better")
    assert registry.load(second).operating is None
    with pytest.raises(Busy, match=f"{second} became the champion"):
        registry.set_threshold(first, {"value": 0.5}, "late")
    registry.rollback("worse")
    assert registry.load(first).operating == {"value": 0.9, "labels": 100}
    registry.promote(second, "after all")
    registry.promote(first, "no")
    assert registry.load(first).operating == {"value": 0.9, "labels": 100}
    assert [s.action for s in registry.history()].count("threshold") == 3


@pytest.mark.parametrize("value", [None, "0.5", True, -0.1, 1.5, float("nan")])
def test_what_is_no_threshold_is_refused(registry, value):
    version = add(registry)
    registry.promote(version, "x")
    before = registry.champion()
    with pytest.raises(BadInput, match="not a number between 0 and 1"):
        registry.set_threshold(version, {"value": value}, "x")
    with pytest.raises(BadInput, match="needs a reason"):
        registry.set_threshold(version, {"value": 0.5}, " ")
    assert registry.champion() == before
