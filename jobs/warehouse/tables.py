"""The tables of the warehouse: names, columns, partitions, and the view that analysts start from.

A table gains a column by a new entry in its `columns`: the next job adds it to the tables that are there
(jobs/warehouse/migrations.py).
"""

from jobs.warehouse.schema import Table, View

RAW_OPINION = Table(
    "raw_opinion",
    "one row per record of the stream; text unchanged",
    {"opinion_id": "string", "text": "string", "source": "string", "published_at": "timestamp"},
)
LABELLED_OPINION = Table(
    "labelled_opinion",
    "labelled texts: 1 valid complaint, 0 junk; one row per text",
    {
        "opinion_id": "string",
        "text": "string",
        "label": "int",
        "source": "string",
        "split": "string",
        "labelled_at": "timestamp",
        "sample_dt": "string",
        "sample_run_id": "string",
        "stratum": "string",
        "inclusion_probability": "double",
    },
    (),
)
REJECTED_LABEL = Table(
    "rejected_label",
    "labelled lines that are not used: unreadable ones, and texts with both labels",
    {
        "opinion_id": "string",
        "text": "string",
        "label": "int",
        "source": "string",
        "split": "string",
        "labelled_at": "timestamp",
        "content": "string",
        "reason": "string",
        "sample_dt": "string",
        "sample_run_id": "string",
        "stratum": "string",
        "inclusion_probability": "double",
    },
    (),
)
# The rows of a sample must outlive audit_sample, whose day is replaced when it is scored again.
SAMPLE_LABEL = Table(
    "sample_label",
    "all drawn rows of each sample with loaded labels; label: null until it is given",
    {
        "sample_dt": "string",
        "sample_run_id": "string",
        "model_version": "string",
        "opinion_id": "string",
        "text": "string",
        "source": "string",
        "score": "float",
        "is_valid": "boolean",
        "stratum": "string",
        "stratum_rows": "bigint",
        "inclusion_probability": "double",
        "label": "int",
        "labelled_at": "timestamp",
        "second_reader": "string",
    },
    (),
)
OPINION_SCORE = Table(
    "opinion_score",
    "the score of every scorable opinion of the day",
    {
        "opinion_id": "string",
        "score": "float",
        "is_valid": "boolean",
        "model_version": "string",
        "run_id": "string",
        "student_score": "float",
        "reader_score": "float",
        "decided_by": "string",
    },
)
VALID_COMPLAINT = Table(
    "valid_complaint",
    "the opinions of the day that a person should read",
    {
        "opinion_id": "string",
        "text": "string",
        "source": "string",
        "published_at": "timestamp",
        "score": "float",
        "model_version": "string",
        "run_id": "string",
    },
)
REJECTED_OPINION = Table(
    "rejected_opinion",
    "lines that could not be stored (stage=load) or scored (stage=score), unchanged, with the reason",
    {"opinion_id": "string", "content": "string", "reason": "string", "run_id": "string"},
    ("dt", "stage"),
)
SCORING_RUN = Table(
    "scoring_run",
    "one row per scored day: counts, model, threshold, drift, times",
    {
        "run_id": "string",
        "model_version": "string",
        "bundle_digest": "string",
        "threshold": "float",
        "rows_read": "bigint",
        "rows_scored": "bigint",
        "rows_valid": "bigint",
        "rows_rejected": "bigint",
        "rows_cut": "bigint",
        "rejected_by_reason": "map<string,bigint>",
        "score_histogram": "array<bigint>",
        "drift_psi": "double",
        "raw_location": "string",
        "started": "timestamp",
        "ended": "timestamp",
        "application_id": "string",
        "drift_psi_length": "double",
        "drift_psi_unknown": "double",
        "drift_psi_source": "double",
        "drift_band": "string",
        "threshold_source": "string",
        "expected_precision": "double",
        "precision_lower": "double",
        "precision_upper": "double",
        "certified": "boolean",
        "source_precision": "map<string,double>",
        "unlabelled_sources": "map<string,struct<opinions:bigint,valid:bigint>>",
        "software_version": "string",
        "second_reader": "string",
        "reader_precision": "string",
        "reader_texts_budget": "bigint",
        "reader_seconds_budget": "double",
        "reader_texts": "bigint",
        "reader_texts_computed": "bigint",
        "reader_rows": "bigint",
        "reader_seconds": "double",
        "band_low": "double",
        "band_high": "double",
        "combination": "map<string,double>",
        "combination_labels": "string",
        "rows_made_valid": "bigint",
        "rows_made_junk": "bigint",
        "warning": "string",
        "staged_by": "string",
    },
)

AUDIT_SAMPLE = Table(
    "audit_sample",
    "rows of a scored day for people to label, drawn by stratum: a decision and a band of scores",
    {
        "opinion_id": "string",
        "text": "string",
        "source": "string",
        "published_at": "timestamp",
        "score": "float",
        "is_valid": "boolean",
        "stratum": "string",
        "stratum_rows": "bigint",
        "model_version": "string",
        "run_id": "string",
        "inclusion_probability": "double",
        "second_reader": "string",
    },
)
NIGHT_PRECISION = Table(
    "night_precision",
    "one row per day with a labelled sample: precision and recall of its decisions, with 95% intervals",
    {
        "model_version": "string",
        "sample_run_id": "string",
        "rows_sampled": "bigint",
        "rows_labelled": "bigint",
        "complaints": "bigint",
        "precision": "double",
        "precision_lower": "double",
        "precision_upper": "double",
        "recall": "double",
        "recall_lower": "double",
        "recall_upper": "double",
        "estimated": "timestamp",
        "run_id": "string",
        "promised_precision": "double",
        "contradicts_promise": "boolean",
    },
)
TEACHER_LOGIT = Table(
    "teacher_logit",
    "raw logits of junk and valid complaint by a teacher, for the texts of a day or of the labels (dt=labelled)",
    {"opinion_id": "string", "text_hash": "string", "logits": "array<float>", "fingerprint": "string"},
    ("teacher", "dt"),
)

SCHEME_RUN = Table(
    "scheme_run",
    "one row per run of compare_schemes: scheme, labels, metrics on valid and, except for trials, on test, cost",
    {
        "label": "string",
        "flags": "string",
        "seed": "int",
        "scheme": "string",
        "model_version": "string",
        "labels_hash": "string",
        "auc": "double",
        "recall": "double",
        "precision": "double",
        "teacher_version": "string",
        "teacher_auc": "double",
        "teacher_recall": "double",
        "coverage": "double",
        "churn": "double",
        "negative_flips": "double",
        "wall_s": "double",
        "cpu_s": "double",
        "ended": "timestamp",
        "phase": "string",
        "valid_auc": "double",
        "valid_recall": "double",
        "total_cpu_s": "double",
    },
    ("experiment", "run"),
)

TABLES = (
    RAW_OPINION,
    LABELLED_OPINION,
    REJECTED_LABEL,
    SAMPLE_LABEL,
    OPINION_SCORE,
    VALID_COMPLAINT,
    REJECTED_OPINION,
    SCORING_RUN,
    AUDIT_SAMPLE,
    NIGHT_PRECISION,
    TEACHER_LOGIT,
    SCHEME_RUN,
)

# Each table of a day switches alone, so the join uses the run: between two switches a reader sees complaints of one
# run, with empty audit columns until that run has switched all its tables.
COMPLAINT = View(
    "complaint",
    "valid complaints with the audit of the run that found them",
    """\
SELECT c.opinion_id, c.text, c.source, c.published_at, c.score, r.threshold,
       r.rows_read, r.rows_valid, c.model_version, c.run_id, c.dt
FROM {database}.valid_complaint c
LEFT JOIN {database}.scoring_run r ON r.dt = c.dt AND r.run_id = c.run_id""",
)

VIEWS = (COMPLAINT,)
