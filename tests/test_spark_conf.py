"""spark_conf/: every setting is known, can be read and has its reason, and none contradicts another."""

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
from pyspark.errors import IllegalArgumentException

from jobs.warehouse.warehouse import DATA_ROOT

ROOT = Path(__file__).resolve().parent.parent
CONF = ROOT / "spark_conf"
DEFAULTS = sorted(CONF.glob("*/spark-defaults.conf"))
FILES = [*DEFAULTS, CONF / "no-gpu.conf"]
CLUSTERS = [path for path in DEFAULTS if path.parent.name != "local"]
# Settings that Spark reads by other means than its registry of entries: with a part of the name that is free, or bare.
OTHERS = (r"spark\.hadoop\..+", r"spark\.executorEnv\.\w+", r"spark\.master", re.escape(DATA_ROOT))
RESOURCES = (r"spark\.executor\.resource\.gpu\.(amount|discoveryScript|vendor)", r"spark\.task\.resource\.gpu\.amount")


def settings(path: Path) -> dict[str, str]:
    values: dict[str, str] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.strip() and not line.startswith("#"):
            key, value = line.split(maxsplit=1)
            assert key not in values, f"{path}: {key} twice"
            values[key] = value.strip()
    return values


def contradictions(values: dict[str, str]) -> list[str]:
    """Messages about settings that contradict each other."""

    def number(key: str, default: float) -> float:
        return float(values.get(key, default))

    messages = []
    gpus, of_a_task = number("spark.executor.resource.gpu.amount", 0), number("spark.task.resource.gpu.amount", 0)
    cores, of_cores = number("spark.executor.cores", 1), number("spark.task.cpus", 1)
    if of_a_task > gpus:
        messages.append("a task asks for more GPUs than an executor has")
    if gpus and not of_a_task:
        messages.append("executors hold GPUs that no task asks for")
    if of_cores > cores and "spark.executor.cores" in values:
        messages.append("a task asks for more cores than an executor has")
    if of_a_task and gpus / of_a_task != cores // of_cores:
        messages.append("the cores allow another number of ranks on an executor than the GPUs")
    master = values.get("spark.master", "")
    if gpus and not master.startswith("spark:") and "spark.executor.resource.gpu.discoveryScript" not in values:
        messages.append("nothing tells an executor which GPUs it has")
    if gpus and master.startswith("k8s:") and "spark.executor.resource.gpu.vendor" not in values:
        messages.append("Kubernetes knows a GPU by its vendor")
    if values.get("spark.dynamicAllocation.enabled") == "true":
        kept = ("spark.dynamicAllocation.shuffleTracking.enabled", "spark.shuffle.service.enabled")
        if all(values.get(key) != "true" for key in kept):
            messages.append(
                "executors that go take their shuffle files with them: track them, or use the shuffle service"
            )
        if "spark.executor.instances" in values:
            messages.append("the number of executors is fixed and dynamic")
    return messages


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_every_setting_has_a_reason_above_it(path: Path) -> None:
    blocks = re.split(r"\n(?=#)", path.read_text(encoding="utf-8"))
    for block in blocks:
        lines = block.strip().splitlines()
        assert lines[0].startswith("#"), f"{path}: {lines[0]} has no reason"


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_nothing_contradicts(path: Path) -> None:
    assert contradictions(settings(path)) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"spark.task.resource.gpu.amount": "2"}, "a task asks for more GPUs than an executor has"),
        ({"spark.task.resource.gpu.amount": "0"}, "executors hold GPUs that no task asks for"),
        ({"spark.task.cpus": "16"}, "a task asks for more cores than an executor has"),
        ({"spark.task.cpus": "4"}, "the cores allow another number of ranks on an executor than the GPUs"),
        ({"spark.executor.resource.gpu.discoveryScript": None}, "nothing tells an executor which GPUs it has"),
        ({"spark.executor.resource.gpu.vendor": None}, "Kubernetes knows a GPU by its vendor"),
        ({"spark.dynamicAllocation.enabled": "true"}, "the number of executors is fixed and dynamic"),
        ({"spark.dynamicAllocation.enabled": "true"}, "executors that go take their shuffle files with them"),
    ],
)
def test_a_contradiction_is_found(change: dict[str, str | None], message: str) -> None:
    changed = settings(CONF / "kubernetes/spark-defaults.conf") | change
    assert message in " and ".join(contradictions({key: value for key, value in changed.items() if value is not None}))


def test_the_clusters_differ_from_one_machine_only_where_they_say_so() -> None:
    local = settings(CONF / "local/spark-defaults.conf")
    for path in CLUSTERS:
        text = path.read_text(encoding="utf-8")
        same = settings(path).keys() & settings_below(text, "# --- As on one machine")
        assert same and all(settings(path)[key] == local[key] for key in same)


def settings_below(text: str, heading: str) -> set[str]:
    return set(re.findall(r"^(spark\.\S+)", text[text.index(heading) :], re.MULTILINE))


@pytest.mark.parametrize("path", CLUSTERS, ids=lambda p: p.parent.name)
def test_the_environment_of_a_cluster_is_ours_but_not_on_loopback(path: Path, tmp_path: Path) -> None:
    script = f'. {path.parent}/spark-env.sh; echo "$OPINION_HOME|${{SPARK_LOCAL_IP:-unset}}|$SPARK_SUBMIT_OPTS"'
    for given, expected in ((None, "unset"), ("10.0.0.7", "10.0.0.7")):
        env = {"PATH": os.environ["PATH"], "HOSTNAME": "host", "OPINION_HOME": str(tmp_path / "home")}
        env |= {"SPARK_LOCAL_IP": given} if given else {}
        done = subprocess.run(["bash", "-c", script], env=env, capture_output=True, text=True, check=True)
        home, address, options = done.stdout.strip().split("|")
        assert (home, address) == (str(tmp_path / "home"), expected)
        assert f"-Dlog4j2.configurationFile=file:{CONF}/local/log4j2.properties" in options


def test_the_discovery_script_speaks_sparks_language(tmp_path: Path) -> None:
    """Of two GPUs, as nvidia-smi lists them."""
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\nprintf '0\\n1\\n'\n")
    fake.chmod(0o755)
    env = {"PATH": f"{tmp_path}:{os.environ['PATH']}"}
    done = subprocess.run([CONF / "discover-gpus.sh"], env=env, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == {"name": "gpu", "addresses": ["0", "1"]}


@pytest.mark.spark
@pytest.mark.parametrize("path", FILES, ids=lambda p: p.parent.name)
def test_every_setting_is_known_and_can_be_read(spark, path: Path) -> None:  # type: ignore[no-untyped-def]
    jvm = spark._jvm
    for entries in ("org.apache.spark.deploy.k8s.Config$", "org.apache.spark.deploy.yarn.config.package$"):
        jvm.java.lang.Class.forName(entries)  # registers the settings of that cluster manager
    find_entry = jvm.org.apache.spark.internal.config.ConfigEntry.findEntry
    for key, value in settings(path).items():
        entry = find_entry(key)
        assert entry or any(re.fullmatch(other, key) for other in (*OTHERS, *RESOURCES)), f"{path}: {key} is unknown"
        if entry:
            read(entry, value)
    assert find_entry("spark.sql.adaptive.enabledd") is None, "what is unknown is found out"
    with pytest.raises(IllegalArgumentException, match="eight"):
        read(find_entry("spark.executor.cores"), "eight")


def read(entry, value: str) -> None:  # type: ignore[no-untyped-def]
    """Have Spark parse a value, and refuse one that is not of the entry's type."""
    entry.valueConverter().andThen(entry.stringConverter()).apply(value)


@pytest.mark.spark
def test_the_session_has_the_settings_of_the_file(spark) -> None:  # type: ignore[no-untyped-def]
    for key, value in settings(ROOT / "spark_conf/local/spark-defaults.conf").items():
        setting = spark.sparkContext.getConf().get(key)
        assert setting == value or (
            key.endswith("JavaOptions") and setting.endswith(f" {value}")
        )  # Spark's own come first
