"""A teacher's training and its logits take no more memory for many lengths of text than for one."""

import subprocess
import sys

import pytest
import torch

from distill.data.dataset import PASS_TOKENS, passes
from distill.models.padding import PAD_TO, padded
from tests.conftest import ROOT

CPU = torch.device("cpu")
# In a process of its own, as the library keeps what it has compiled as long as the process lives. The longest batch
# comes first, so that what grows later is not the network's own.
GROWTH = """
import ctypes, sys, tempfile
import torch
from distill.models.bert import from_pretrained
from tests.distill.tiny_encoder import tiny_encoder

def resident():
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    return next(int(line.split()[1]) for line in open("/proc/self/status") if line.startswith("VmRSS"))

torch.set_num_threads(1)
with tempfile.TemporaryDirectory() as folder:
    model, tokenizer = from_pretrained(tiny_encoder(folder, positions=128, width=64), 128, "bfloat16")
model.train()

def step(length):
    batch = tokenizer.encode(["好" * (length - 2)] * 4).take(torch.arange(4))
    model.zero_grad()
    model(batch).sum().backward()

for length in (128, 128, 8):
    step(length)
before = resident()
for length in range(9, 128):
    step(length)
print((resident() - before) // 1024)
"""


@pytest.mark.slow
def test_texts_of_many_lengths_take_no_more_memory() -> None:
    """119 lengths: 15 shapes. One shape a length took over 500 MB, of a network with 0.1 million numbers."""
    done = subprocess.run([sys.executable, "-c", GROWTH], cwd=ROOT, capture_output=True, text=True, check=True)
    assert int(done.stdout) < 150, "MB"


def test_lengths_are_padded_to_few() -> None:
    lengths = padded(torch.arange(1, 129))
    assert len(lengths.unique()) == 128 // PAD_TO and (lengths >= torch.arange(1, 129)).all()
    assert padded(torch.tensor([0, 8, 9])).tolist() == [0, 8, 16]


@pytest.mark.parametrize(
    ("rows", "longest", "size", "expected"),
    [(32, 48, 1, 1), (32, 49, 1, 2), (32, 128, 1, 3), (32, 512, 1, 11), (64, 128, 2, 3), (1, 9999, 1, 7)],
)
def test_a_batch_of_long_texts_is_divided_for_memory(rows: int, longest: int, size: int, expected: int) -> None:
    """At most 1536 tokens a pass, as each of a rank's rows takes as many as the longest of all ranks."""
    assert PASS_TOKENS["cpu"] == 1536
    lengths = torch.tensor([1] * (rows - 1) + [longest])
    assert passes(torch.arange(rows), size, CPU, lengths) == expected
    assert passes(torch.arange(rows), size, CPU, None) == 1
