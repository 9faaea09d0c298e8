"""The lines of the scoring benchmark: each way of scoring is a loader, run once in a Python worker, that gives a
function from raw texts to scores."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from distill.models.bundle import Bundle
from jobs.scoring.process_cache import cached

Score = Callable[[list[str]], npt.NDArray[np.float32]]
Load = Callable[[], Score]
Batches = Iterator[pa.RecordBatch]


def identity() -> Callable[[Batches], Batches]:
    """The floor: every row to Python and back."""
    return lambda batches: batches


def scores_of(name: str, load: Load) -> Callable[[Batches], Batches]:
    """opinion_id and text -> opinion_id and score, with the model loaded once a worker."""

    def score(batches: Batches) -> Batches:
        line = cached(name, load)
        for batch in batches:
            scores = line([text or "" for text in batch.column("text").to_pylist()])
            yield pa.RecordBatch.from_arrays(
                [batch.column("opinion_id"), pa.array(scores, pa.float32())], ["opinion_id", "score"]
            )

    return score


def student(path: str) -> Load:
    """The shipped scorer, for its quality; its speed is that of the job itself."""

    def load() -> Score:
        from distill.models import bundle
        from distill.scoring.scorer import Scorer

        scorer = Scorer(bundle.load(path))
        return lambda texts: np.nan_to_num(scorer.score(texts).scores)

    return load


def plain_torch(path: str) -> Load:
    """The same student as a plain torch module."""

    def load() -> Score:
        import torch
        from plain_textcnn import PlainTextCNN, Reader

        from distill.models import bundle

        torch.set_num_threads(1)
        saved = bundle.load(path)
        model, reader = PlainTextCNN(saved).eval(), Reader(saved)

        def run(ids: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
            with torch.no_grad():
                return model(*map(torch.from_numpy, ids)).numpy()

        return lambda texts: batched(reader, run, texts)

    return load


def onnx(path: str, file: str) -> Load:
    """The same student, exported, in onnxruntime."""

    def load() -> Score:
        import onnxruntime
        from plain_textcnn import Reader

        from distill.models import bundle

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        session, reader = onnxruntime.InferenceSession(file, options), Reader(bundle.load(path))

        def run(ids: list[npt.NDArray[np.int64]]) -> npt.NDArray[np.float32]:
            logits: npt.NDArray[np.float32] = session.run(None, dict(zip(reader.ids, ids, strict=True)))[0]
            return logits

        return lambda texts: batched(reader, run, texts)

    return load


def batched(reader: Any, run: Callable[..., npt.NDArray[np.float32]], texts: list[str]) -> npt.NDArray[np.float32]:
    """Scores of raw texts, batch by batch."""
    scores = np.empty(len(texts), np.float32)
    for rows, ids in reader.batches(texts):
        logits = run(ids)
        scores[rows] = 1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))
    return scores


def characters(text: str) -> str:
    """A text as fastText reads it: normalised, its characters apart."""
    from distill.text.normalisation import normalise

    return " ".join(normalise(text)[:256].replace(" ", "_"))


def fasttext(file: str) -> Load:
    """A supervised fastText model over n-grams of characters."""

    def load() -> Score:
        import fasttext

        model = fasttext.load_model(file)

        def score(texts: list[str]) -> npt.NDArray[np.float32]:
            labels, chances = model.predict([characters(text) for text in texts], k=2)
            pairs = zip(labels, chances, strict=True)
            either = [dict(zip(names, values, strict=True)) for names, values in pairs]
            return np.array([by_label.get("__label__1", 0.0) for by_label in either], np.float32)

        return score

    return load


def size_of(teacher: Bundle) -> str:
    """Layers, width and longest text of a BERT."""
    config = json.loads(teacher.files["config.json"])
    longest = teacher.manifest["architecture"]["max_length"]
    return f"{config['num_hidden_layers']} layers of width {config['hidden_size']}, texts of at most {longest} tokens"


def teacher(path: str) -> Load:
    """The BERT teacher, in batches of similar length, one thread."""

    def load() -> Score:
        from distill.models import bundle
        from distill.scoring.logits import teacher_of
        from distill.scoring.scorer import probability
        from distill.text.text_batch import normalise_batch

        model = teacher_of(bundle.load(path), "float32", threads=1)
        return lambda texts: probability(model.logits(normalise_batch(texts)))

    return load


def train_fasttext(texts: list[str], labels: list[int], folder: Path) -> str:
    """A model of the labels; its sizes are fastText's own but for n-grams and epochs, the best of 5 tried on valid."""
    import fasttext

    lines = [f"__label__{label} {characters(text)}\n" for text, label in zip(texts, labels, strict=True)]
    (folder / "train.txt").write_text("".join(lines), encoding="utf-8", errors="replace")
    model = fasttext.train_supervised(
        str(folder / "train.txt"), wordNgrams=3, epoch=10, lr=0.3, dim=64, bucket=2_000_000, minCount=2, thread=2,
        verbose=0,
    )  # fmt: skip
    model.save_model(str(folder / "fasttext.bin"))
    return str(folder / "fasttext.bin")


def export_onnx(path: str, folder: Path) -> str:
    """The student as an ONNX file."""
    import torch
    from plain_textcnn import PlainTextCNN, Reader

    from distill.models import bundle

    saved = bundle.load(path)
    reader = Reader(saved)
    ((_, ids),) = reader.batches(["物业乱收费,多次投诉无果", "今天天气真好"])
    axes = {name: {0: "batch", 1: f"{name}_tokens"} for name in reader.ids}
    torch.onnx.export(
        PlainTextCNN(saved).eval(), tuple(map(torch.from_numpy, ids)), str(folder / "student.onnx"),
        input_names=list(reader.ids), output_names=["logits"], dynamo=True, verbose=False,
        dynamic_shapes={"ids": tuple({0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC} for _ in axes)},
    )  # fmt: skip
    return str(folder / "student.onnx")
