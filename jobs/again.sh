#!/usr/bin/env bash
# Run a job for cron; again later where that can help: exit code 4 (infrastructure) and 5 (another run has the day).
# Any other code is the caller's at once, since nothing would change.
#   jobs/again.sh score_opinions --dt 2026-11-09
# TRIES: of the job, the first one included. WAIT: seconds before the second, twice as many before each further one.
# SPARK_CONF_DIR: the folder of the settings.
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
job=$1
shift
wait=${WAIT:-60}
for ((try = 1; ; try++)); do
  .venv/bin/spark-submit --properties-file "${SPARK_CONF_DIR:-spark_conf/local}/spark-defaults.conf" "jobs/$job.py" "$@"
  code=$?
  [[ $code == [45] ]] && ((try < ${TRIES:-6})) || exit $code
  echo "$job ended with exit code $code; try $((try + 1)) of ${TRIES:-6} in $wait s" >&2
  sleep "$wait"
  wait=$((wait * 2))
done
