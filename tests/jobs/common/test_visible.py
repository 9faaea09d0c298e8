"""Control characters are shown, and everything else is as it was."""

import json
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from distill import CHECKOUT
from jobs.common.visible import visible

ESCAPES = "\x1b[31m\x07\x9b2J\r\x7f\u202e"
SHOWN = "\\u001b[31m\\u0007\\u009b2J\\u000d\\u007f\\u202e"


def test_escapes_are_written_out_and_texts_stay():
    assert visible(f"投诉{ESCAPES}\t👨‍👩‍👧\n") == f"投诉{SHOWN}\t👨‍👩‍👧\n"


@given(st.text())
def test_json_stays_the_same_json(text):
    printed = visible(json.dumps(text, ensure_ascii=False))
    assert json.loads(printed) == text and not any(ord(c) < 32 or 127 <= ord(c) < 160 for c in printed)


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_no_job_prints_an_escape(tmp_path, stream):
    """Neither the output of a job nor its error line holds one."""
    main = f"def main():\n    print({ESCAPES!a})\n    raise BadInput({ESCAPES!a})"
    code = f"from jobs.common.failures import *\n{main}\nrun_main(main)"
    environment = {"OPINION_HOME": str(tmp_path), "PATH": "/usr/bin:/bin"}
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, env=environment, capture_output=True, timeout=60)
    shown = f"{SHOWN}\n" if stream == "stdout" else f"error: {SHOWN}\n".replace("\\u000d", " ")
    assert getattr(done, stream).decode() == shown and done.returncode == 2
