"""The Hive metastore service, and the PostgreSQL behind it."""

import os
import signal
import subprocess
from pathlib import Path
from xml.sax.saxutils import escape

from tests.cluster.service import Service

SOURCE = Path(__file__).resolve().with_name("Metastore.java")
JDBC = Path("/usr/share/java/postgresql.jar")  # of Debian's libpostgresql-jdbc-java
OPENED = ("java.lang", "java.net", "java.nio", "java.util", "java.util.concurrent")  # what Hive looks into


class Postgres(Service):
    """A PostgreSQL that holds the metastore's tables; it trusts whoever comes over loopback."""

    stop_by = signal.SIGINT  # does not wait for its clients

    def __init__(self, folder: Path, env: dict[str, str]):
        """As `Service`. Raises RuntimeError where Debian's packages are not installed."""
        super().__init__(folder, env)
        folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: float(path.parent.name))
        if not folders or not JDBC.exists():
            raise RuntimeError("postgresql or libpostgresql-jdbc-java is missing; make test-cluster installs them")
        self.binaries = folders[-1]
        if os.getuid() == 0:  # it refuses to run as root
            self.user = "postgres"
            folder.parent.chmod(0o755)

    def command(self) -> list[str]:
        """It listens on loopback alone."""
        return [f"{self.binaries}/postgres", "-D", "data", "-h", "127.0.0.1", "-p", str(self.port), "-k", ""]

    def prepare(self) -> None:
        """An empty data folder, the first time."""
        if not (self.folder / "data").exists():
            if self.user:
                subprocess.run(["chown", self.user, self.folder], check=True)
            init = [f"{self.binaries}/initdb", "-D", "data", "-U", "hive", "-A", "trust", "-E", "UTF8", "--locale=C"]
            subprocess.run(init, cwd=self.folder, user=self.user, env=self.env, check=True, stdout=subprocess.DEVNULL)

    def answers(self) -> bool:
        """Whether it takes queries: its port is open some time before."""
        ready = [f"{self.binaries}/pg_isready", "-q", "-h", "127.0.0.1", "-p", str(self.port)]
        return super().answers() and subprocess.run(ready, env=self.env).returncode == 0

    def query(self, sql: str, database: str = "metastore") -> str:
        """The output of psql for a query, without headers."""
        psql = [f"{self.binaries}/psql", "-h", "127.0.0.1", "-p", str(self.port), "-U", "hive", "-d", database]
        return subprocess.run([*psql, "-Atqc", sql], env=self.env, check=True, capture_output=True, text=True).stdout


class Metastore(Service):
    """Hive's metastore on its Thrift port."""

    def __init__(self, folder: Path, env: dict[str, str], postgres: Postgres, spark_home: Path):
        """As `Service`; the tables of the metastore are made at the first start."""
        super().__init__(folder, env)
        self.postgres = postgres
        self.classes = f"{folder}:{spark_home}/jars/*:{JDBC}"

    @property
    def uri(self) -> str:
        """The value of `spark.hadoop.hive.metastore.uris`."""
        return f"thrift://127.0.0.1:{self.port}"

    def command(self) -> list[str]:
        """It listens on loopback alone."""
        return self._java("serve", str(self.port))

    def _java(self, *args: str) -> list[str]:
        opens = [f"--add-opens=java.base/{package}=ALL-UNNAMED" for package in OPENED]
        return ["java", *opens, "-Xmx512m", "-cp", self.classes, str(SOURCE), *args]

    def prepare(self) -> None:
        """Its settings, and its tables the first time."""
        there = self.postgres.query("select 1 from pg_database where datname = 'metastore'", "postgres")
        if not there:
            self.postgres.query("create database metastore", "postgres")
        made = self.folder / "schema-is-made"
        if not made.exists():
            self._settings(making=True)
            subprocess.run(self._java("schema"), cwd=self.folder, env=self.env, check=True, capture_output=True)
            made.touch()
        self._settings(making=False)

    def _settings(self, making: bool) -> None:
        settings = {
            "javax.jdo.option.ConnectionURL": f"jdbc:postgresql://127.0.0.1:{self.postgres.port}/metastore",
            "javax.jdo.option.ConnectionDriverName": "org.postgresql.Driver",
            "javax.jdo.option.ConnectionUserName": "hive",
            "javax.jdo.option.ConnectionPassword": "trusted",
            "datanucleus.connectionPoolingType": "HikariCP",
            "datanucleus.schema.autoCreateAll": str(making).lower(),
            "hive.metastore.schema.verification": str(not making).lower(),
            "hive.metastore.schema.verification.record.version": "true",
            "hive.metastore.warehouse.dir": f"file://{self.folder}/warehouse",
            "hive.async.log.enabled": "false",
        }
        rows = [f"<property><name>{k}</name><value>{escape(v)}</value></property>" for k, v in settings.items()]
        (self.folder / "hive-site.xml").write_text(f"<configuration>{''.join(rows)}</configuration>")
