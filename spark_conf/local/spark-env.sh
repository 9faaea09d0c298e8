# Sourced by spark-submit and spark-sql of this checkout's .venv: everything a run makes goes below OPINION_HOME.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# A path that Spark cannot use, or a file of another user in it, is refused before anything starts.
OPINION_HOME=$("$checkout/.venv/bin/python" -I -m distill.home) || exit
# Scratch space of this run, locked for as long as its JVM lives, which takes over the open folder from this shell.
# Killed runs cannot tidy up, so the next one does; a lock tells more than a process id, which other hosts, containers and
# users have too. A folder may be taken for a dead run's in the moment before it is locked: then another is made.
mkdir -p "$OPINION_HOME/tmp"
for dead in "$OPINION_HOME"/tmp/run-*; do
  { exec {lock}< "$dead"; } 2>/dev/null || continue
  flock -n "$lock" && rm -rf "$dead"
  exec {lock}<&-
done
for attempt in 1 2 3 4 5; do
  scratch=$(mktemp -d "$OPINION_HOME/tmp/run-XXXXXXXX") && exec {lock}< "$scratch" && flock -n "$lock" && [ -d "$scratch" ] && break
  [ $attempt = 5 ] && { echo "error: cannot make and lock a folder in $OPINION_HOME/tmp" >&2; exit 4; }
done
# The driver's and the workers' Python are the one the project is installed in, whatever python3 the PATH has.
PYSPARK_PYTHON=$checkout/.venv/bin/python
unset PYSPARK_DRIVER_PYTHON PYSPARK_DRIVER_PYTHON_OPTS
# One machine has no part in a cluster whose file system or metastore a profile names; cluster-env.sh puts Hadoop's back.
unset HADOOP_CONF_DIR YARN_CONF_DIR HIVE_CONF_DIR HIVE_HOME
# One machine: loopback works without a name service and opens no port to the network.
SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
SPARK_LOCAL_DIRS=${SPARK_LOCAL_DIRS:-$scratch}
# Paths stand here and not in spark-defaults.conf because Spark expands no variables there; quoted for Spark's launcher.
SPARK_SUBMIT_OPTS="${SPARK_SUBMIT_OPTS:-} -XX:-UsePerfData \"-Djava.io.tmpdir=$scratch\" \"-Dspark.sql.warehouse.dir=$OPINION_HOME/warehouse\" \"-Dderby.stream.error.file=$OPINION_HOME/logs/derby.log\""
# Temporary files of Python, torch among it.
TMPDIR=$scratch
# Python's libraries would keep their caches in the user's home, which a service user may not have.
[ -d "${HOME:-}" ] || { HOME=$OPINION_HOME/cache/home && mkdir -p "$HOME"; }
# Parallel processes of torch and numba stall each other when their idle threads spin.
OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
