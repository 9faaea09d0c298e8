#!/usr/bin/env bash
# An analyst's query, and its answer without what Spark says of itself; a failure is a line, not Java's trace.
#   jobs/ask.sh "select * from opinion.scoring_run"
# SUBMIT_FLAGS: as of jobs/again.sh.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
[[ ${1:-} ]] || { echo 'error: no query; say for example make sql Q="select * from opinion.scoring_run"' >&2; exit 2; }
# Texts of the stream may hold what a terminal obeys.
shown=(.venv/bin/python -I jobs/common/visible.py)
exec 2> >(awk '
  /ERROR XSDB6/ { busy = 1 }
  /^Exception in thread/ && !failed { failed = $0 }
  failed || /^WARNING: Using incubator modules|^Spark master/ { next }
  { print; fflush() }
  END {
    if (busy) print "error: another process has the embedded metastore open, a job or a query; ask again when it has ended, " \
      "or use a metastore service (docs/cluster.md)"
    else if (failed) print failed
  }' | "${shown[@]}" >&2)
errors=$!
exec > >("${shown[@]}")
answer=$!
trap 'exec >&- 2>&-; wait $errors $answer' EXIT
.venv/bin/spark-sql ${SUBMIT_FLAGS:---properties-file spark_conf/local/spark-defaults.conf} \
  --conf spark.sql.variable.substitute=false --hiveconf hive.cli.print.header=true -e "$1"
