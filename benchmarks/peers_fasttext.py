"""fastText as a peer (Joulin et al. 2016), over n-grams of characters.

It takes no soft labels, so it passes over the texts PASSES times, each time in another order, and in each pass a text
bears one label: over all passes label 1 has its probability, to a tenth.
"""

from pathlib import Path

import fasttext
import numpy as np
import numpy.typing as npt
from peers_data import Data, Numbers, soft_targets

from distill.text.text_batch import normalise_batch

TEMPERATURE = 1.0  # 2 was worse on valid, with a tenth of the rows
PASSES = 10


def train(data: Data, seed: int, folder: Path, teacher: Path) -> None:
    """Train on the passes, with the sizes of `scoring_lines.train_fasttext`."""
    rows, random = data.splits.train, np.random.default_rng(seed)
    lines = [characters(text) for text in rows.texts]
    labels = labels_of_passes(soft_targets(rows, TEMPERATURE), random)
    passes = folder / "passes.txt"
    with open(passes, "w", encoding="utf-8", errors="replace") as file:
        for labels_of_pass in labels:
            order = random.permutation(len(lines))
            file.writelines(f"__label__{labels_of_pass[row]} {lines[row]}\n" for row in order)
    model = fasttext.train_supervised(
        str(passes), wordNgrams=3, epoch=1, lr=0.3, dim=64, bucket=2_000_000, minCount=2 * PASSES, thread=1,
        seed=seed, verbose=0,
    )  # fmt: skip
    passes.unlink()
    (folder / "model").mkdir(exist_ok=True)
    model.save_model(str(folder / "model" / "fasttext.bin"))


def labels_of_passes(probabilities: Numbers, random: np.random.Generator) -> npt.NDArray[np.int64]:
    """The label of each text in each pass, (PASSES, texts): 1 in round(PASSES p) passes, which are drawn."""
    ranks = random.random((PASSES, len(probabilities))).argsort(axis=0)
    return (ranks < np.rint(PASSES * probabilities)).astype(np.int64)


def characters(text: str) -> str:
    """A normalised text as fastText reads it: its first characters, apart."""
    return " ".join(text[:256].replace(" ", "_"))


class FastText:
    """Raw texts to margins."""

    def __init__(self, folder: Path):
        self.model = fasttext.load_model(str(folder / "model" / "fasttext.bin"))

    def __call__(self, texts: list[str]) -> Numbers:
        """Log odds of a valid complaint, (texts,)."""
        labels, chances = self.model.predict([characters(text) for text in normalise_batch(texts)], k=2)
        either = [dict(zip(*pair, strict=True)) for pair in zip(labels, chances, strict=True)]
        valid, junk = (np.array([one.get(f"__label__{label}", 0.0) for one in either]) for label in (1, 0))
        return np.log(valid + 1e-9) - np.log(junk + 1e-9)
