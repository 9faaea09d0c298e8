"""The modules of the benchmarks import each other as scripts do, from their own folder."""

import sys

from tests.conftest import ROOT

sys.path.append(str(ROOT / "benchmarks"))
