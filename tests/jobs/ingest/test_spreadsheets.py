"""jobs/ingest/spreadsheets.py: no cell is a formula, and each comes back as it was."""

from hypothesis import example, given
from hypothesis import strategies as st

from jobs.ingest.spreadsheets import escaped, unescaped


@given(st.text(st.sampled_from("=+-@＝＋－＠\t\r\n'退1")) | st.text())
@example("=HYPERLINK(1)")
@example("'=1")
@example("''@x")
@example("'quoted'")
def test_a_cell_is_no_formula_and_comes_back(cell):
    safe = escaped(cell)
    assert not safe or safe[0] not in "=+-@＝＋－＠\t\r\n"
    assert unescaped(safe) == cell


def test_other_cells_stay_as_they_are():
    for cell in (None, "", "退款", "'quoted'", "1-2", "'"):
        assert escaped(cell) == unescaped(cell) == cell
