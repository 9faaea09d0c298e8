"""Choose the champion's threshold from the labels of its nights' samples, and certify its precision on the stream.

Label the nights' samples (docs/nights.md) and load them with load_labels. This job pools the labels of all nights that
the champion scored, weighs each by its inclusion probability, and chooses the lowest threshold whose precision is
certified. The promise holds even when the job runs every night. While no threshold can be certified, the job uses the
best estimate, and prints that and the number of missing labels by score. The threshold is a decision in the registry:
score_opinions uses it for later days, and `opinion registry rollback` undoes it. Labels that the champion was trained
on do not count.
"""

from distill.errors import BadInput
from distill.models.registry import CHAMPION
from jobs.common import locks
from jobs.common.cli import Parser, job_parser
from jobs.common.failures import run_main
from jobs.common.home import home, home_registry


def main() -> None:
    """Pool the labels, certify, decide, print."""
    args = parser().parse_args()
    if not 0.5 <= args.certified_precision <= args.target_precision < 1 or not 0.5 <= args.confidence < 1:
        raise BadInput(
            "--certified-precision must be 0.5 or more and at most --target-precision, which must be below 1; "
            "--confidence must be from 0.5 to below 1"
        )
    # Late: Spark takes seconds, which --help and a wrong flag need not wait for.
    from jobs.scoring.calibration import calibrate, certification_lines, chosen_text, evidence, label_lines, learned_at
    from jobs.scoring.sample_nights import sampled
    from jobs.warehouse.session import spark_session
    from jobs.warehouse.warehouse import Warehouse

    with locks.hold(home() / "locks" / "calibrate.lock", "the threshold of the champion"):
        registry = home_registry()
        champion = registry.load(CHAMPION)
        version = champion.version
        warehouse = Warehouse(spark_session("calibrate_threshold"), args.database)
        samples = sampled(warehouse, version, learned_at(champion.bundle.manifest, registry, version))
        print("\n".join(label_lines(samples, version)), flush=True)
        result, nights = calibrate(samples, args.target_precision, args.certified_precision, args.confidence)
        print(
            "\n".join(certification_lines(result, args.target_precision, args.certified_precision, args.confidence)),
            flush=True,
        )
        if result.chosen is None:
            print(
                f"too few labels of nights that {version} scored: its threshold stays as it is; label the files in "
                f"{home() / 'audit'} and load them with opinion load_labels"
            )
            return
        operating = evidence(result.chosen, samples, nights, vars(args))
        if args.dry_run:
            return
        why = f"calibrate_threshold: {chosen_text(result.chosen, args.certified_precision)}"
        registry.set_threshold(version, operating, why)
        print(f"{version} uses the threshold {result.chosen.threshold:g} for the days scored from now on", flush=True)


def parser() -> Parser:
    """The command line."""
    flags = job_parser(__doc__, "calibrate_threshold --dry-run")
    flags.add_argument("--target-precision", type=float, default=0.95, help="precision that the estimate should reach")
    flags.add_argument(
        "--certified-precision", type=float, default=0.9, help="precision that is certified as a lower bound"
    )
    flags.add_argument(
        "--confidence", type=float, default=0.95, help="confidence of the certified bound, for all nights together"
    )
    flags.add_argument("--dry-run", action="store_true", help="print the decision and change nothing")
    return flags


if __name__ == "__main__":
    run_main(main)
