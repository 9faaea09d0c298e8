"""Facts of a day and of a retraining as their reports get them, with what people must not do to a page."""

from dataclasses import asdict
from typing import Any

import numpy as np

from distill.data.labelled import TextRows
from distill.evaluation.comparison import Bounds, compare
from distill.models.saved_model import SavedModel
from distill.scoring.explain import explain
from distill.scoring.scorer import Scorer
from jobs.reports.day_facts import DRIFT, drift, margin_facts, strongest_ngrams
from jobs.reports.retrain_facts import Models, retrain_facts
from tests.jobs.tiny_model import TEXTS, tiny_bundle

HOSTILE = "<script>document.title='x'</script><img src=http://x.invalid/a.png onerror=alert(1)>\x00\u202e$x_"
LONG = "我在这家店买的手机用了三天就坏了，联系客服一直没人回复，打了十几次电话都打不通，要求退款也不处理。" * 5


def a_day() -> dict[str, Any]:
    """Facts of a day, as `jobs.reports.day_facts.day_facts` collects them (a test compares the two)."""
    scorer = Scorer(tiny_bundle(1))
    texts = [*TEXTS, HOSTILE + TEXTS[0], f"{TEXTS[2]}，电话13812345678", LONG]
    opinions = [
        {
            "opinion_id": f"id-{i}",
            "source": HOSTILE if i == 1 else "微博",
            "published_at": None if i == 2 else "2026-11-09 08:00",
            "score": 0.99 - i / 100,
            "times": 1 + i % 3,
            **margin_facts(explain(scorer, text)),
        }
        for i, text in enumerate(texts)
    ]
    days = [f"2026-11-{day:02d}" for day in range(1, 10)]
    return {
        "dt": "2026-11-09",
        "database": "opinion",
        "zone": "Asia/Shanghai",
        "model": {
            "version": "multi-teacher-20261108T201500Z-1a2b3c",
            "digest": "0" * 64,
            "threshold": 0.75,
            "threshold_margin": 1.1,
            "threshold_source": "calibrated",
        },
        "promise": {
            "text": "precision on the stream: 0.961 (bounds 0.912 to 0.979), certified",
            "precision": 0.961,
            "lower": 0.912,
            "upper": 0.979,
            "certified": True,
        },
        "unlabelled_sources": [f"{HOSTILE}: 91 opinions, no label, 10 flagged"],
        "run": {"id": "20261109T201500Z-1a2b3c4d", "started": "2026-11-10 04:15", "ended": "2026-11-10 04:16"},
        "counts": {"lines": 1013, "read": 1001, "scored": 990, "valid": 40, "rejected": 11, "cut": 2},
        "valid_share": 40 / 990,
        "rejected": {"load": {"broken_json": 7, "missing_id": 5}, "score": {"duplicate_row": 8, "null_text": 3}},
        "histograms": {"day": [900, *[3] * 17, 9, 30], "training": [500, *[10] * 18, 320]},
        "drift": drift(dict.fromkeys(DRIFT.values(), 0.05) | {"drift_psi": 0.31, "drift_band": "significant"}),
        "sample": {
            "rows": 100,
            "labelled": 98,
            "contradicts": False,
            "estimates": [
                {"name": "precision", "value": 0.931, "lower": 0.871, "upper": 0.968},
                {"name": "recall", "value": 0.62, "lower": 0.31, "upper": 0.94},
            ],
        },
        "second_reader": {
            "version": "bert-20261108T201500Z-1a2b3c",
            "lines": ["second reader bert-20261108T201500Z-1a2b3c: 40 texts of 44 rows"],
            "failed": False,
            "texts": 40,
            "rows": 44,
            "made_valid": 1,
            "made_junk": 2,
            "examples": [
                {
                    "opinion_id": f"id-{i}",
                    "score": 0.9 if valid else 0.2,
                    "student_score": 0.7,
                    "reader_score": 0.95 if valid else 0.1,
                    "is_valid": valid,
                    "source": HOSTILE,
                    "text": HOSTILE + LONG,
                }
                for i, valid in enumerate((True, False, False))
            ],
        },
        "sources": [
            {"source": "微博", "rows": 900, "valid": 30, "share": 30 / 900, "precision": 0.98},
            {"source": HOSTILE, "rows": 91, "valid": 10, "share": 10 / 91, "precision": None},
            {"source": None, "rows": 10, "valid": 0, "share": 0.0, "precision": None},
        ],
        "trend": [
            {
                "dt": day,
                "read": 1000,
                "valid": 40,
                "share": 0.04,
                "model": "textcnn-x",
                "threshold": 0.75,
                "precision": 0.961 if i else None,
                "lower": 0.912 if i else None,
                "upper": 0.979 if i else None,
                "certified": bool(i),
                "drift": dict.fromkeys(DRIFT, i / 30 or None),
            }
            for i, day in enumerate(days)
        ],
        "ngrams": strongest_ngrams(opinions),
        "top": opinions,
        "above": opinions[:2],
        "below": [],
    }


def a_retraining(passed: bool) -> dict[str, Any]:
    """Facts of a retraining: two small random models on rows that the second has all right, or the first.

    Each model calls half of the rows complaints.
    """
    models: Models = {
        role: SavedModel(f"tiny-{i}", "", tiny_bundle(i)) for i, role in enumerate(("champion", "challenger"))
    }
    texts = [TEXTS[i % 5][: 2 + i % 9] for i in range(400)]
    scores = {role: Scorer(model.bundle).score(texts).scores for role, model in models.items()}
    for role, model in models.items():
        model.bundle.manifest["threshold"]["value"] = float(np.median(scores[role]))
    judge = scores["challenger" if passed else "champion"]
    labels = (judge >= np.median(judge)).astype(np.int64)
    sources = np.array(["微博", HOSTILE] * 200)
    rows = TextRows(texts, labels, sources, np.empty((400, 0, 2), np.float32))
    checks = compare(
        models["champion"].bundle, models["challenger"].bundle, rows, 0.95, Bounds(coverage=0.0, source_loss=1.0)
    )
    decision = {
        "challenger": "tiny-1",
        "champion": "tiny-0",
        "teacher": "bert-1",
        "promoted": passed,
        "dry_run": False,
        "checks": [asdict(check) for check in checks],
        "held_out": {"rows": 400, "labels_hash": "abc"},
        "decided": "2026-11-09T20:15:00+00:00",
    }
    return retrain_facts(decision, models, rows, "abc" if passed else "def")
