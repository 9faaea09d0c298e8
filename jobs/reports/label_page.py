"""The page on which people label a night's sample: one text at a time, by key, in a browser without a server."""

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jobs.reports.pages import templates
from jobs.scoring.audit_sample import CSV_COLUMNS, csv_cells


def write_page(csv: Path, dt: str, rows: Sequence[dict[str, Any]]) -> Path:
    """Write the page of the sample next to its CSV; returns its path.

    The page shows neither score nor stratum: a labeller must not follow the model. It saves the CSV with its labels.
    """
    sample = {
        "name": csv.stem,
        "dt": dt,
        "columns": CSV_COLUMNS,
        "rows": [
            {"text": row["text"], "source": row["source"], "cells": dict(zip(CSV_COLUMNS, csv_cells(row), strict=True))}
            for row in rows
        ],
    }
    command = f".venv/bin/opinion load_labels --input {csv.stem}.csv"
    page = templates().get_template("label.html")
    content = page.render(
        title=f"Label the opinions of {dt}", sample=sample, command=command, nonce=secrets.token_urlsafe(16)
    )
    path = csv.with_suffix(".html")
    path.write_text(content, encoding="utf-8", errors="replace")
    return path
