#!/usr/bin/env bash
# Run a job for cron; again later where that can help: exit code 4 (infrastructure) and 5 (another run has the day).
# Any other code is the caller's at once, since nothing would change. Nothing is on stderr unless something went wrong,
# so that what cron mails is worth reading.
#   jobs/again.sh score_opinions --dt 2026-11-09
# TRIES: of the job, the first one included. WAIT: seconds before the second, twice as many before each further one.
# SUBMIT_FLAGS: of spark-submit, where the settings are not those of one machine (docs/cluster.md).
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# Java says so at each start of Spark, and has no switch for it.
exec 2> >(grep -v --line-buffered '^WARNING: Using incubator modules' >&2)
trap 'exec 2>&-; wait' EXIT
job=$1
shift
wait=${WAIT:-60}
for ((try = 1; ; try++)); do
  # Unquoted: several flags are several words.
  .venv/bin/spark-submit ${SUBMIT_FLAGS:---properties-file spark_conf/local/spark-defaults.conf} "jobs/$job.py" "$@"
  code=$?
  ((code == 0)) && exit
  said="$job ended with exit code $code"
  [[ $code == [45] ]] && ((try < ${TRIES:-6})) || { echo "$said" >&2; exit $code; }
  echo "$said; try $((try + 1)) of ${TRIES:-6} in $wait s" >&2
  sleep "$wait"
  wait=$((wait * 2))
done
