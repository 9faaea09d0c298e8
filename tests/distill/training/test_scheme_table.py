"""One table says what the schemes are; what trains them is found by its names."""

import pytest

from distill.training.joint_schemes import JOINT
from distill.training.scheme_table import SCHEMES, scheme_for
from distill.training.schemes import STORED


def test_every_scheme_has_a_class_and_trains_alone_or_with_a_teacher() -> None:
    assert STORED.keys() | JOINT.keys() == SCHEMES.keys() and not STORED.keys() & JOINT.keys()
    for name, entry in SCHEMES.items():
        assert name == entry.name and entry.help
        assert (STORED | JOINT)[name].__name__ == entry.builder and (name in JOINT) is entry.joint


@pytest.mark.parametrize(
    ("teachers", "scheme"), [(0, "textcnn"), (1, "offline"), (2, "multi-teacher"), (5, "multi-teacher")]
)
def test_the_number_of_teachers_says_which_scheme_reads_their_logits(teachers: int, scheme: str) -> None:
    assert scheme_for(teachers) == scheme and SCHEMES[scheme].reads_logits == (teachers > 0)
