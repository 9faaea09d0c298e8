"""Each rollback takes back the last decision in force, on a champion or on its threshold."""

import pytest

from distill.errors import BadInput, BadModel, Busy
from tests.distill.models.tiny_registry import add


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
