"""List the saved models, show one, choose the champion that scores, and undo such choices.

.venv/bin/opinion registry list
.venv/bin/opinion registry show VERSION|champion
.venv/bin/opinion registry decisions [VERSION]
.venv/bin/opinion registry promote VERSION --reason "…"
.venv/bin/opinion registry rollback --reason "…"
"""

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from distill.errors import BadInput, BadModel
from distill.models import bundle
from distill.models.registry import Registry
from distill.models.switches import Switch
from jobs.common.cli import Parser
from jobs.common.failures import run_main
from jobs.common.home import home
from jobs.common.time_zones import WHEN, shown
from jobs.training import decisions

MEASURES = ("auc", "precision", "recall")


def main(argv: Sequence[str] | None = None) -> None:
    """Parse the command line and run one command."""
    args = _parser().parse_args(argv)
    folder = Path(args.home) if args.home else home()
    registry = Registry(folder / "registry")
    if args.command == "list":
        _list(registry)
    elif args.command == "show":
        _show(registry, args.version)
    elif args.command == "decisions":
        _decisions(folder, args.version)
    elif args.command == "promote":
        switch = registry.promote(args.version, args.reason)
        print(f"champion is {switch.version}, in place of {switch.previous or 'none'}")
    else:
        switch = registry.rollback(args.reason)
        if switch.version == switch.previous:
            print(f"champion {switch.version} has {_threshold(switch)} again")
        else:
            print(f"champion is {switch.version} again, in place of {switch.previous}, at {_threshold(switch)}")


def _parser() -> argparse.ArgumentParser:
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", metavar="DIR", help="home folder (default: OPINION_HOME, or var/ here)")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="all versions, their metrics and the champion")
    show = commands.add_parser("show", help="check a version's files and print its manifest")
    decided = commands.add_parser("decisions", help="decisions of retrain, newest first, or one in full")
    promote = commands.add_parser("promote", help="make a version the champion")
    rollback = commands.add_parser("rollback", help="undo the last promotion or threshold; again: the one before")
    show.add_argument("version", metavar="VERSION", help="a version, or: champion")
    decided.add_argument(
        "version", metavar="VERSION", nargs="?", help="a challenger (default: all of them, a line each)"
    )
    promote.add_argument("version", metavar="VERSION")
    for command in (promote, rollback):
        command.add_argument("--reason", required=True, help="reason for the history")
    return parser


def _list(registry: Registry) -> None:
    champion, versions = registry.champion(), registry.versions()
    if not versions:
        print(f"no version in {registry.root} yet: train one with opinion distill_student")
        return
    in_use = champion.version if champion else None
    _table(["", "VERSION", "METRICS"], [["*" if v == in_use else "", v, _metrics(registry, v)] for v in versions])
    if champion is None:
        print("\nno champion: choose one with opinion registry promote VERSION")
        return
    print(f"\n* champion, at {_threshold(champion)}; its history, newest first:")
    _table(
        [WHEN, "WHO", "WHAT", "VERSION", "IN PLACE OF", "REASON"],
        [
            [
                shown(s.at),
                s.by,
                s.action,
                s.version,
                s.previous or "-",
                " ".join(s.reason.split()),
            ]
            for s in reversed(registry.history())
        ],
    )


def _threshold(switch: Switch) -> str:
    """The threshold in force after a switch."""
    if switch.operating is None:
        return "its own threshold"
    return f"threshold {switch.operating['value']:g} ({switch.operating.get('source', 'set by hand')})"


def _decisions(folder: Path, challenger: str | None) -> None:
    all_decisions = decisions.read_all(folder)
    if challenger:
        chosen = [decision for decision in all_decisions if decision["challenger"] == challenger]
        if not chosen:
            raise BadInput(f"no retraining decided on {challenger}; those it did: opinion registry decisions")
        print(decisions.decision_text(chosen[0]))
    elif not all_decisions:
        print("no retraining has come to a decision yet: run opinion retrain")
    else:
        _table(
            [WHEN, "CHALLENGER", "CHAMPION THEN", "DECISION"],
            [
                [shown(d["decided"]), d["challenger"], d["champion"] or "-", decisions.outcome(d)]
                for d in reversed(all_decisions)
            ],
        )


def _metrics(registry: Registry, version: str) -> str:
    try:
        manifest, _ = bundle.load_manifest(registry.path(version))
    except BadModel as error:
        return f"unusable: {error}"
    return "; ".join(
        f"{split}: " + ", ".join(f"{name} {metrics[name]:.4f}" for name in MEASURES if metrics.get(name) is not None)
        for split, metrics in sorted(manifest.get("metrics", {}).items())
    )


def _show(registry: Registry, name: str) -> None:
    saved = registry.load(name)
    model = saved.bundle
    rows = [
        ("version", saved.version),
        ("digest", model.digest),
        *((key, str(value)) for key, value in _flat(model.manifest)),
        *((f"tensor {name}", f"{t.dtype} {list(t.shape)}") for name, t in sorted(model.tensors.items())),
    ]
    _table(["", ""], [list(row) for row in rows])


def _flat(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """The leaves of nested sections as ("section.key", value) pairs."""
    if isinstance(value, dict) and (value or not name):
        for key, inner in value.items():
            yield from _flat(inner, f"{name}.{key}" if name else key)
    else:
        yield name, value


def _table(head: list[str], rows: list[list[str]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in [head, *rows] if any(head) else rows:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


if __name__ == "__main__":
    run_main(main)
