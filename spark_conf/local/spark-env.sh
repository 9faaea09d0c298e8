# Sourced by spark-submit and spark-sql of this checkout's .venv: everything a run makes goes below OPINION_HOME.
checkout=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
OPINION_HOME=${OPINION_HOME:-$checkout/var}
mkdir -p "$OPINION_HOME/tmp" "$OPINION_HOME/logs"
OPINION_HOME=$(cd "$OPINION_HOME" && pwd)
# The driver's and the workers' Python are the one the project is installed in, whatever python3 the PATH has.
PYSPARK_PYTHON=${PYSPARK_PYTHON:-$checkout/.venv/bin/python}
# One machine: loopback works without a name service and opens no port to the network.
SPARK_LOCAL_IP=${SPARK_LOCAL_IP:-127.0.0.1}
SPARK_LOCAL_DIRS=${SPARK_LOCAL_DIRS:-$OPINION_HOME/tmp}
# Paths stand here and not in spark-defaults.conf because Spark expands no variables there.
SPARK_SUBMIT_OPTS="$SPARK_SUBMIT_OPTS -Djava.io.tmpdir=$OPINION_HOME/tmp -Dspark.sql.warehouse.dir=$OPINION_HOME/warehouse -Dderby.stream.error.file=$OPINION_HOME/logs/derby.log"
# Parallel processes of torch and numba stall each other when their idle threads spin.
OMP_WAIT_POLICY=${OMP_WAIT_POLICY:-PASSIVE}
