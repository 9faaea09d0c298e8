# Sourced by the spark-env.sh of standalone, yarn and kubernetes: as on one machine (local/spark-env.sh), but the executors
# run elsewhere. The driver is a process of this machine (client mode).
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
given=${SPARK_LOCAL_IP:-}
hadoop=${HADOOP_CONF_DIR:-} yarn=${YARN_CONF_DIR:-}
. "$here/local/spark-env.sh"
# Executors have to reach the driver, so not on loopback: at the address of this host's name, or at one that is given.
[ -n "$given" ] || unset SPARK_LOCAL_IP
# Where YARN and HDFS are.
[ -z "$hadoop" ] || HADOOP_CONF_DIR=$hadoop
[ -z "$yarn" ] || YARN_CONF_DIR=$yarn
# The driver's log goes to a file. Executors have no such file and keep Spark's default, the log that the cluster shows.
SPARK_SUBMIT_OPTS="$SPARK_SUBMIT_OPTS \"-Dlog4j2.configurationFile=file:$here/local/log4j2.properties\""
