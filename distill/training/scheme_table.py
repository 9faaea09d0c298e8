"""Every scheme by name: help text, whether a teacher trains along, number of teachers; needs no torch."""

from dataclasses import dataclass

BERT = "bert"  # of a teacher's own training, on hard labels
LINEAR = "linear"  # a teacher that is fitted as a student's training begins (`distill.training.cross_fitting`)
MANY = 1_000_000


@dataclass(frozen=True)
class SchemeEntry:
    """A scheme of a student.

    teachers: the fewest and the most whose stored logits it reads. builder: its class in `distill.training.schemes`.
    """

    name: str
    help: str
    builder: str
    teachers: tuple[int, int] = (0, 0)
    joint: bool = False  # a teacher trains along

    @property
    def reads_logits(self) -> bool:
        """Whether it learns from stored logits."""
        return self.teachers[1] > 0


SCHEMES = {
    entry.name: entry
    for entry in (
        SchemeEntry("textcnn", "hard labels, no teacher", "HardLabel"),
        SchemeEntry("offline", "a teacher's stored logits and the labels", "Offline", (1, 1)),
        SchemeEntry("multi-teacher", "the stored logits of several", "Offline", (2, MANY)),
        SchemeEntry(
            "joint-isolated",
            "a teacher trains along and learns nothing from the student",
            "JointIsolated",
            joint=True,
        ),
        SchemeEntry(
            "joint-coupled", "it gets the gradient of the soft loss one step later", "JointCoupled", joint=True
        ),
        SchemeEntry("joint-sum", "one loss for both", "JointSum", joint=True),
    )
}


def scheme_for(teachers: int) -> str:
    """The scheme of a student with stored logits of `teachers` teachers."""
    return next(entry.name for entry in SCHEMES.values() if entry.teachers[0] <= teachers <= entry.teachers[1])
