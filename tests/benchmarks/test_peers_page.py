"""The table and the front of the peers."""

import pytest
from peers_page import front, markdown, means

RUN = {"test_auc": 0.98, "test_recall": 0.8, "test_precision": 0.95, "stream_auc": 0.96, "stream_recall_lower": 0.7}
RUNS = [
    {"peer": "ours", "seed": 0, **RUN, "stream_recall": 0.5, "train_cpu_s": 100, "bytes": 5_000_000},
    {"peer": "ours", "seed": 1, **RUN, "stream_recall": 0.6, "train_cpu_s": 200, "bytes": 5_000_000},
    {"peer": "linear", "seed": 0, **RUN, "stream_recall": 0.4, "train_cpu_s": 10, "bytes": 9_000_000},
]


def test_the_front_has_no_point_that_another_beats():
    points = {"fast": (100.0, 0.3), "good": (10.0, 0.6), "beaten": (9.0, 0.6), "slow": (1.0, 0.5), "twin": (10.0, 0.6)}
    assert front(points) == ["good", "twin", "fast"]


def test_seeds_are_averaged_and_a_single_one_has_no_deviation():
    by_peer = means(RUNS)
    assert by_peer["ours"]["stream_recall"] == (pytest.approx(0.55), pytest.approx(0.0707, abs=1e-4))
    assert by_peer["linear"]["stream_recall"] == (0.4, None) and by_peer["ours"]["seeds"] == 2


def test_a_line_of_the_table_has_the_figures_of_its_peer():
    page = markdown(
        {
            "command": "benchmarks/peers.py --home DIR",
            "packages": {"torch": "2"},
            "rows": {"train": 10, "labelled": 6, "stream": 4, "repeated": 1},
            "runs": RUNS,
            "texts_per_s": {"ours": 90_000, "linear": 9_000},
            "teacher": RUN | {"stream_recall": 0.63},
            "how": {"ours": "the recipe", "linear": "weighted"},
        }
    )
    ours = "| ours | 2 | 0.9800 ± 0.0000 | 0.8000 ± 0.0000 | 0.9500 ± 0.0000 | 0.9600 ± 0.0000 | 0.5500 ± 0.0707 |"
    assert f"{ours} 0.7000 ± 0.0000 | 90,000 | 5.0 | 150 |" in page
    assert "| linear | 1 | 0.9800 | 0.8000 | 0.9500 | 0.9600 | 0.4000 | 0.7000 | 9,000 | 9.0 | 10 |" in page
