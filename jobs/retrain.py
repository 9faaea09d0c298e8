"""Retrain: train a challenger, compare it with the champion on held-out labels, promote it only if it is better.

The job trains a teacher if there is none, stores the missing logits of the labels and of the newest days, and distils
the challenger by the recommended recipe. A stopped run continues when it is started again with the same flags. If
anything fails, the champion stays.
"""

from jobs.common import locks
from jobs.common.failures import run_main
from jobs.common.home import home, home_registry
from jobs.common.options import from_flags
from jobs.training import decisions
from jobs.training.retrain_flags import RetrainOptions, parser


def main() -> None:
    """Train, compare, decide."""
    args = parser(__doc__).parse_args()
    options = from_flags(RetrainOptions, args)
    options.check(home_registry())
    # Late: torch and Spark take seconds, which --help and a wrong flag need not wait for.
    from jobs.training.retraining import Retraining
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    with locks.hold(home() / "locks" / "retrain.lock", "the next champion"):
        decision = Retraining(Warehouse(spark_session("retrain"), args.database), options).run()
    print(decisions.decision_text(decision), flush=True)


if __name__ == "__main__":
    run_main(main)
