"""Train a student and keep it in the registry as a new version.

It becomes nobody's champion by that: compare it, then promote it with jobs/registry.py. The teacher that trains along
in the joint schemes is kept too.
"""

from jobs.common.failures import run_main
from jobs.common.home import home_registry
from jobs.common.options import from_flags
from jobs.training.student_flags import StudentTraining, parser
from jobs.training.training_run import version_of


def main() -> None:
    """Train one student, print what it reaches."""
    args = parser(__doc__).parse_args()
    options = from_flags(StudentTraining, args)
    options.check()
    version = version_of(home_registry(), options.scheme, args)
    # Late: torch and Spark take seconds, which --help and a wrong flag need not wait for.
    from jobs.training.student_training import distil
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    distil(lambda: Warehouse(spark_session("distill_student"), args.database), options, version)


if __name__ == "__main__":
    run_main(main)
