"""Train a student and keep it in the registry as a new version.

The champion does not change: compare the student, then promote it with `opinion registry promote`. The joint schemes
save the teacher that trains along, too.
"""

from jobs.common.failures import run_main
from jobs.common.options import from_flags
from jobs.training.student_flags import StudentTraining, parser
from jobs.training.training_run import version_of


def main() -> None:
    """Train one student and print its metrics."""
    args = parser(__doc__).parse_args()
    options = from_flags(StudentTraining, args)
    options.check()
    version = version_of(options.scheme, args)
    # Late: torch and Spark take seconds, which --help and a wrong flag need not wait for.
    from jobs.training.student_training import distil
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    distil(lambda: Warehouse(spark_session("distill_student"), args.database), options, version)


if __name__ == "__main__":
    run_main(main)
