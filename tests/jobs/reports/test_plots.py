"""The plots of reports: Chinese is drawn, and a text is no formula."""

from pathlib import Path

import pytest

from jobs.reports import plots


def drawn(file: Path, label: str) -> bytes:
    with plots.figure(file) as axes:
        axes.barh([label], [1])
    return file.read_bytes()


def test_chinese_is_drawn_and_not_boxes(tmp_path: Path) -> None:
    """Two characters look different; where a font lacks them, both are the same box."""
    if not plots.chinese_font():
        pytest.skip("needs a font with Chinese, which `make setup` installs")
    assert drawn(tmp_path / "a.png", "退") != drawn(tmp_path / "b.png", "款")


def test_a_text_with_dollar_signs_is_no_formula(tmp_path: Path) -> None:
    assert drawn(tmp_path / "a.png", r"$\nonsense{$").startswith(b"\x89PNG")
    assert drawn(tmp_path / "b.png", "$x_1$") != drawn(tmp_path / "c.png", "x₁")


def test_a_figure_that_fails_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the data"), plots.figure(tmp_path / "a.png"):
        raise ValueError("the data")
    assert list(tmp_path.iterdir()) == []
