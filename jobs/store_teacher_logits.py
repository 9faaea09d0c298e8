"""Store a teacher's logits for the labels or for days of the stream, in teacher_logit.

Only logits that are missing under the teacher's fingerprint are computed, once for equal texts. A stopped run leaves
its results to the next one.
"""

from jobs.common.failures import run_main
from jobs.common.home import home_registry
from jobs.common.options import from_flags
from jobs.training.logit_flags import LogitJob, parser


def main() -> None:
    """Choose the teacher, compute what is missing, print what was stored."""
    args = parser(__doc__).parse_args()
    job = from_flags(LogitJob, args)
    job.check(args.labelled, args.dt)
    # Late: torch and Spark take seconds, which --help and a wrong flag need not wait for.
    from jobs.training.logit_store import LogitWriter
    from jobs.training.logits import LABELLED
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    warehouse = Warehouse(spark_session("store_teacher_logits"), args.database)
    writer = LogitWriter(warehouse, home_registry(), job)
    for dt in [LABELLED] if args.labelled else sorted(set(args.dt)):
        print(writer.write(dt), flush=True)


if __name__ == "__main__":
    run_main(main)
