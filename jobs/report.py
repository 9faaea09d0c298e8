"""What a person reads on the terminal after a day was scored."""

import re
import unicodedata

from pyspark.sql import functions as F

from jobs.cli import home
from jobs.tables import SCORING_RUN, VALID_COMPLAINT
from jobs.warehouse import Warehouse

TOP = 10
WIDTH = 72


def day_summary(warehouse: Warehouse, dt: str) -> str:
    """Counts of the day, its model, its highest scores and where to look further."""
    run = warehouse.read(SCORING_RUN, dt=dt).first()
    assert run is not None, "a scored day has its audit row"
    reasons = ", ".join(f"{reason} {count}" for reason, count in sorted(run.rejected_by_reason.items()))
    top = warehouse.read(VALID_COMPLAINT, dt=dt).orderBy(F.desc("score"), "opinion_id").limit(TOP).collect()
    rows = [f"{row.score:8.4f}  {fit(row.source or '', 12)}  {fit(masked(row.text), WIDTH)}" for row in top]
    return "\n".join(
        [
            "",
            f"{dt}: the {len(rows)} highest of {run.rows_valid} valid complaints (numbers masked here)",
            f"{'score':>8}  {'source':12}  text",
            *rows,
            "",
            f"read {run.rows_read} = scored {run.rows_scored} + rejected {run.rows_rejected} ({reasons or 'none'}); "
            f"valid {run.rows_valid}; read to the length limit only: {run.rows_cut}",
            f"model {run.model_version}, threshold {run.threshold:.4f}, run {run.run_id}",
            f"tables in {warehouse.root}, metastore in {home()}; look further with",
            f'  make sql Q="select score, source, text from {warehouse.database}.valid_complaint '
            f"where dt='{dt}' order by score desc limit 20\"",
        ]
    )


def masked(text: str) -> str:
    """The text with runs of five digits and more (phone, order and identity numbers) replaced by stars."""
    return re.sub(r"\d[\d -]{3,}\d[xX]?", lambda run: "*" * len(run[0]), text)


def fit(text: str, width: int) -> str:
    """The text on one line, cut or filled to `width` columns of a terminal, where a Chinese character takes two."""
    shown, used = "", 0
    for character in " ".join(text.split()):
        columns = 2 if unicodedata.east_asian_width(character) in "WF" else 1
        if used + columns > width - 1 and len(shown) < len(text):
            shown, used = shown + "…", used + 1
            break
        shown, used = shown + character, used + columns
    return shown + " " * (width - used)
