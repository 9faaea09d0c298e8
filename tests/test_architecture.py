"""Imports run downhill through the folders of CONTRIBUTING.md's map, and the map names every folder."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Highest first. A folder imports its own modules and those of the folders after it. The map of CONTRIBUTING.md has the
# same order.
LAYERS = {
    "jobs": ["", "steps", "reports", "training", "scoring", "ingest", "warehouse", "common"],
    "distill": ["training", "evaluation", "scoring", "data", "models", "text", "intrinsics", ""],
}


def modules(package: str) -> Iterator[Path]:
    return (path for path in sorted((ROOT / package).rglob("*.py")) if path.name != "__init__.py")


def folder_of(package: str, path: Path) -> str:
    """The folder of a module below its package, "" at the top."""
    parts = path.relative_to(ROOT / package).parts
    return parts[0] if len(parts) > 1 else ""


def imported(path: Path) -> Iterator[str]:
    """Full names of the modules of this project that a module imports, also inside of functions."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


@pytest.mark.parametrize("package", LAYERS)
def test_imports_run_downhill(package: str) -> None:
    layers, uphill = LAYERS[package], []
    for path in modules(package):
        here = layers.index(folder_of(package, path))
        for name in imported(path):
            there = re.match(rf"{package}\.(\w+)", name)
            if there and there[1] in layers and layers.index(there[1]) < here:
                uphill.append(f"{path.relative_to(ROOT)} imports {name}")
    assert not uphill


def test_distill_knows_neither_jobs_nor_spark() -> None:
    known = {(path.name, name) for path in modules("distill") for name in imported(path)}
    assert not [pair for pair in known if pair[1].split(".")[0] in ("jobs", "pyspark", "py4j")]


def test_the_layers_are_the_folders() -> None:
    for package, layers in LAYERS.items():
        folders = {path.parent.name for path in (ROOT / package).glob("*/__init__.py")}
        assert folders == set(layers) - {""}


def test_the_top_of_jobs_holds_commands_alone() -> None:
    for path in (ROOT / "jobs").glob("*"):
        if path.is_file() and path.name != "__init__.py":
            assert path.suffix == ".py" and "run_main(main)" in path.read_text(encoding="utf-8"), path


def test_contributing_maps_every_folder_in_this_order() -> None:
    mapped = re.findall(r"^\| `((?:jobs|distill)/(?:\w+/)?)` \|", (ROOT / "CONTRIBUTING.md").read_text("utf-8"), re.M)
    expected = [f"{package}/{name}/" if name else f"{package}/" for package in LAYERS for name in LAYERS[package]]
    assert mapped == expected


def test_tests_mirror_the_tree() -> None:
    """A test that is named after a module lies in the folder of that module."""
    places = {(package, path.stem): path.parent for package in LAYERS for path in modules(package)}
    misplaced = []
    for package in LAYERS:
        for test in (ROOT / "tests" / package).rglob("test_*.py"):
            module = test.stem.removeprefix("test_")
            folder = test.relative_to(ROOT / "tests").parent
            if len(folder.parts) > 1 and not (ROOT / folder / f"{module}.py").exists():
                home = places.get((package, module))
                if home and home != ROOT / folder:
                    misplaced.append(f"{test.relative_to(ROOT)} tests {home.relative_to(ROOT)}/{module}.py")
    assert not misplaced
