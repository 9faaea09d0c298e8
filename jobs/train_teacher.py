"""Train a BERT teacher on labelled_opinion and keep it in the registry as a new version.

Checkpoints along the way become versions of their own: the anchor points of a route.
"""

from distill.training.scheme_table import BERT
from jobs.common.failures import run_main
from jobs.common.options import from_flags
from jobs.training.teacher_flags import TeacherTraining, parser
from jobs.training.training_run import version_of


def main() -> None:
    """Train one teacher and print its metrics."""
    args = parser(__doc__).parse_args()
    options = from_flags(TeacherTraining, args)
    options.check()
    version = version_of(BERT, args)
    # Late: torch and Spark take seconds, which --help and a wrong flag need not wait for.
    from jobs.training.teacher_training import train
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    train(Warehouse(spark_session("train_teacher"), args.database), options, version)


if __name__ == "__main__":
    run_main(main)
