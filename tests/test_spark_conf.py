"""spark_conf/: every setting is one that Spark, Hive or this project knows, and has its reason above it."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted((ROOT / "spark_conf").glob("*/spark-defaults.conf"))


def settings(path: Path) -> dict[str, str]:
    found: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            key, value = line.split(maxsplit=1)
            assert key not in found, f"{path}: {key} twice"
            found[key] = value.strip()
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_every_setting_has_a_reason_above_it(path: Path) -> None:
    blocks = re.split(r"\n(?=#)", path.read_text(encoding="utf-8"))
    for block in blocks:
        lines = block.strip().splitlines()
        assert lines[0].startswith("#"), f"{path}: {lines[0]} has no reason"


@pytest.mark.spark
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_every_setting_is_known(spark, path: Path) -> None:  # type: ignore[no-untyped-def]
    find_entry = spark._jvm.org.apache.spark.internal.config.ConfigEntry.findEntry
    for key in settings(path):
        # Spark reads its master by the bare name, and hands what is Hadoop's on.
        known = find_entry(key) is not None or key == "spark.master" or key.startswith("spark.hadoop.")
        assert known, f"{path}: unknown setting {key}"
    assert find_entry("spark.sql.adaptive.enabledd") is None, "what is unknown is found out"


@pytest.mark.spark
def test_the_session_has_the_settings_of_the_file(spark) -> None:  # type: ignore[no-untyped-def]
    for key, value in settings(ROOT / "spark_conf/local/spark-defaults.conf").items():
        assert spark.sparkContext.getConf().get(key) == value
