"""A small day of the stream for the tests on the cluster."""

import json
from pathlib import Path

from tests.jobs.tiny_model import TEXTS

DAY = "2026-11-09"
ROWS = 400


def write_day(path: Path, rows: int) -> None:
    rest = {"source": "web", "published_at": f"{DAY}T08:00:00Z"}
    texts = [TEXTS[i % len(TEXTS)] * (1 + i % 3) for i in range(rows)]
    lines = [json.dumps({"opinion_id": str(i), "text": text, **rest}) for i, text in enumerate(texts)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
