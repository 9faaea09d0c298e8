"""Spark, Hive and PostgreSQL as on a real cluster, each a process of its own on loopback, all below one folder.

    .venv/bin/python -m tests.cluster.cluster start|stop|kill|status FOLDER [NAME…]

NAME is one of master, worker1, worker2, history, postgres, metastore, thrift; without any, all. What runs is left
alone; what was stopped comes back on the same port.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

import pyspark

from tests.cluster.hive import Metastore, Postgres
from tests.cluster.service import Service

ROOT = Path(__file__).resolve().parents[2]
SPARK_HOME = Path(pyspark.__file__).parent
DEPLOY = "org.apache.spark.deploy"
CORE = ("master", "worker1", "worker2", "postgres", "metastore")  # what a job needs
LOG4J = """\
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
appender.console.type = Console
appender.console.name = console
appender.console.target = SYSTEM_ERR
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{ISO8601} %p %c{1}: %m%n%ex
"""


class Cluster:
    """Each component is a `Service` with start, stop and kill; `services` has all in the order in which they start."""

    def __init__(self, folder: Path, cores: int = 1, memory: str = "1g", worker_options: str = ""):
        """Nothing is started yet. `cores`, `memory` and Java's `worker_options` are those of each of two workers."""
        self.folder = folder.resolve()
        for name in ("conf", "events", "home", "tmp"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)
        (self.folder / "conf" / "log4j2.properties").write_text(LOG4J)
        self.home = self.folder / "home"  # OPINION_HOME of the jobs
        self.shipped = False  # whether executors use what make ship has packed, or else this checkout's environment
        self.postgres = Postgres(self.folder / "postgres", self._env())
        self.metastore = Metastore(self.folder / "metastore", self._env(), self.postgres, SPARK_HOME)
        self.master = self._daemon("master", f"{DEPLOY}.master.Master")
        shape = ["--cores", str(cores), "--memory", memory, "--work-dir", self.folder / "work", self.master_url]
        self.workers = [
            self._daemon(name, f"{DEPLOY}.worker.Worker", *shape, SPARK_WORKER_OPTS=worker_options)
            for name in ("worker1", "worker2")
        ]
        self.thrift = self._thrift()
        self.history = self._history()
        parts = [self.master, *self.workers, self.history, self.postgres, self.metastore, self.thrift]
        self.services: dict[str, Service] = {part.name: part for part in parts}

    @property
    def master_url(self) -> str:
        """The value of `--master`."""
        return f"spark://127.0.0.1:{self.master.port}"

    def start(self, *names: str) -> None:
        """Start all, or the named ones; only PostgreSQL and the metastore have to answer before the next one starts."""
        chosen = [service for name, service in self.services.items() if not names or name in names]
        for service in chosen:
            service.launch()
            if service in (self.postgres, self.metastore):
                service.wait()
        for service in chosen:
            service.wait()

    def stop(self, *names: str) -> None:
        """Stop all, or the named ones, the last to start first."""
        for name, service in reversed(self.services.items()):
            if not names or name in names:
                service.stop()

    def submit(self, job: str, *args: str, timeout: float = 300, **conf: str) -> subprocess.CompletedProcess[str]:
        """Run a job on the cluster as its user would; `conf` as in `command`."""
        return subprocess.run(
            self.command(f"jobs/{job}.py", *args, **conf),
            cwd=ROOT,
            env=self.job_env,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    @property
    def job_env(self) -> dict[str, str]:
        """The environment of a job's user."""
        return os.environ | {
            "OPINION_HOME": str(self.home),
            "SPARK_CONF_DIR": "spark_conf/standalone",
            "SPARK_LOCAL_IP": "127.0.0.1",
        }

    def command(self, script: str, *args: str, **conf: str) -> list[str]:
        """spark-submit of a script by spark_conf/standalone without GPUs; `conf` as in `flags`."""
        no_gpu = ["--load-spark-defaults", "--properties-file", "spark_conf/no-gpu.conf"]
        return [".venv/bin/spark-submit", *self.flags(**conf), *no_gpu, script, *args]

    def flags(self, **conf: str) -> list[str]:
        """Settings that differ from spark_conf/standalone; a setting in `conf` has _ for the dots of its name."""
        settings = {
            "spark.master": self.master_url,
            "spark.hadoop.hive.metastore.uris": self.metastore.uri,
            "spark.opinion.data": f"file://{self.home}/data",
            "spark.sql.warehouse.dir": f"file://{self.home}/warehouse",
            "spark.eventLog.dir": f"file://{self.folder}/events",
            "spark.cores.max": "2",
            "spark.executor.cores": "1",
            "spark.executor.memory": "600m",
            "spark.driver.memory": "1g",
        }
        if not self.shipped:
            python = f"{ROOT}/.venv/bin/python"
            settings |= {"spark.archives": "", "spark.pyspark.python": python}
        settings |= {key.replace("_", "."): value for key, value in conf.items()}
        return [flag for key, value in settings.items() for flag in ("--conf", f"{key}={value}")]

    def _env(self, **more: str) -> dict[str, str]:
        """The environment of the components: nothing of this project, but for where Spark is."""
        kept = {name: os.environ[name] for name in ("HOME", "LANG", "JAVA_HOME") if name in os.environ}
        return kept | {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "SPARK_HOME": str(SPARK_HOME),
            "SPARK_CONF_DIR": str(self.folder / "conf"),
            "SPARK_LOCAL_IP": "127.0.0.1",
            "SPARK_LOCAL_DIRS": str(self.folder / "tmp"),
            "SPARK_DAEMON_MEMORY": "300m",
            "SPARK_DAEMON_JAVA_OPTS": f"-XX:-UsePerfData -Djava.io.tmpdir={self.folder}/tmp",
            **more,
        }

    def _daemon(self, name: str, kind: str, *args: str | Path, **env: str) -> Service:
        address = ["--host", "127.0.0.1", "--port", "{port}", "--webui-port", "0"]
        return Service(self.folder / name, self._env(**env), [SPARK_HOME / "bin/spark-class", kind, *address, *args])

    def _thrift(self) -> Service:
        """The server that BI tools ask; it has a core of its own and takes none of the workers'."""
        conf = {
            "spark.hadoop.hive.metastore.uris": self.metastore.uri,
            "spark.sql.warehouse.dir": f"file://{self.folder}/metastore/warehouse",
            "spark.hadoop.hive.exec.scratchdir": f"{self.folder}/tmp/hive",
            "spark.ui.enabled": "false",
            "spark.hadoop.hive.server2.thrift.bind.host": "127.0.0.1",
            "spark.hadoop.hive.server2.thrift.port": "{port}",
        }
        flags = [flag for key, value in conf.items() for flag in ("--conf", f"{key}={value}")]
        server = ["--class", "org.apache.spark.sql.hive.thriftserver.HiveThriftServer2"]
        submit = [SPARK_HOME / "bin/spark-submit", "--master", "local[1]"]
        return Service(self.folder / "thrift", self._env(SPARK_DAEMON_MEMORY="700m"), [*submit, *flags, *server])

    def _history(self) -> Service:
        """The history server over the event logs of the jobs."""
        options = {
            "spark.history.fs.logDirectory": f"file://{self.folder}/events",
            "spark.history.fs.update.interval": "2s",
            "spark.history.ui.port": "{port}",
        }
        env = self._env(SPARK_HISTORY_OPTS=" ".join(f"-D{key}={value}" for key, value in options.items()))
        return Service(
            self.folder / "history", env, [SPARK_HOME / "bin/spark-class", f"{DEPLOY}.history.HistoryServer"]
        )


def main() -> None:
    """Start, stop or kill components, and say what runs where."""
    action, folder, *names = sys.argv[1:]
    cluster = Cluster(Path(folder))
    if action == "start":
        before = time.monotonic()
        cluster.start(*names)
        print(f"started in {time.monotonic() - before:.1f} s")
    elif action == "stop":
        cluster.stop(*names)
    elif action == "kill":
        for name in names or list(cluster.services):
            cluster.services[name].kill()
    for name, service in cluster.services.items():
        print(f"{name:10} {f'127.0.0.1:{service.port}' if service.process() else 'stopped'}")


if __name__ == "__main__":
    main()
