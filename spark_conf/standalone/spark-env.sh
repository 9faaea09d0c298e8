. "$(dirname "${BASH_SOURCE[0]}")/../cluster-env.sh"
