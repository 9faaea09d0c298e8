# Sourced by spark-submit and spark-sql of this checkout's .venv: everything a run makes goes below OPINION_HOME.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OPINION_HOME=${OPINION_HOME:-$checkout/var}
mkdir -p "$OPINION_HOME/logs"
OPINION_HOME=$(cd "$OPINION_HOME" && pwd)
# Scratch space of this run: the JVM takes over the pid of this shell. Killed runs cannot tidy up, so the next one does.
for scratch in "$OPINION_HOME"/tmp/"$HOSTNAME"-*; do
  [ -e "$scratch" ] && ! kill -0 "${scratch##*-}" 2>/dev/null && rm -rf "$scratch"
done
scratch=$OPINION_HOME/tmp/$HOSTNAME-$$
mkdir -p "$scratch"
# The driver's and the workers' Python are the one the project is installed in, whatever python3 the PATH has.
PYSPARK_PYTHON=${PYSPARK_PYTHON:-$checkout/.venv/bin/python}
# One machine: loopback works without a name service and opens no port to the network.
SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
SPARK_LOCAL_DIRS=${SPARK_LOCAL_DIRS:-$scratch}
# Paths stand here and not in spark-defaults.conf because Spark expands no variables there.
SPARK_SUBMIT_OPTS="$SPARK_SUBMIT_OPTS -XX:-UsePerfData -Djava.io.tmpdir=$scratch -Dspark.sql.warehouse.dir=$OPINION_HOME/warehouse -Dderby.stream.error.file=$OPINION_HOME/logs/derby.log"
# Temporary files of Python, torch among it.
TMPDIR=$scratch
# Parallel processes of torch and numba stall each other when their idle threads spin.
OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
