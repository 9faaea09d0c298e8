"""Any saved model as a teacher: texts to logits, and the fingerprint under which they are stored."""

from typing import TYPE_CHECKING, Protocol, get_args

import numpy as np
import numpy.typing as npt
import torch

from distill.data.dataset import BATCH_TOKENS, length_buckets, to_device
from distill.errors import BadModel
from distill.models.architecture import KIND as TEXTCNN
from distill.models.architecture import Precision
from distill.models.bundle import Bundle
from distill.models.packages import need_transformers
from distill.models.padding import PAD_TO, padded
from distill.scoring.scorer import Scorer, section

if TYPE_CHECKING:
    from distill.models.bert import Bert, Padded, Tokenizer
    from distill.models.compiled_bert import Network

COMPILE_AFTER = 512  # texts; compiling takes as long as a few hundred of them
PRECISIONS: tuple[Precision, ...] = get_args(Precision)


class Teacher(Protocol):
    """A model whose logits can be stored."""

    def logits(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """Raw logits of normalised texts, float32 (texts, 2); they hardly depend on the other texts of the call.

        Raises BadModel when one of them is NaN or infinite.
        """
        ...


class BertTeacher:
    """A trained encoder; texts of a batch are of similar length, so that little is padding.

    On a CPU the network is compiled once it has seen COMPILE_AFTER texts, where OpenVINO is installed.
    """

    def __init__(self, model: "Bert", tokenizer: "Tokenizer", device: torch.device):
        self.model, self.tokenizer, self.device = model.to(device).eval(), tokenizer, device
        self.network: Network = self.by_torch
        self.texts, self.may_compile = 0, device.type == "cpu"

    def by_torch(self, batch: "Padded") -> npt.NDArray[np.float32]:
        """Logits of a batch, float32 (batch, 2)."""
        with torch.no_grad():
            logits: npt.NDArray[np.float32] = self.model(to_device(batch, self.device)).cpu().numpy()
        return logits

    def logits(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """See `Teacher`."""
        if self.may_compile and self.texts >= COMPILE_AFTER:
            from distill.models.compiled_bert import compile_for_cpu

            self.network, self.may_compile = compile_for_cpu(self.model) or self.by_torch, False
        # In float32 padding saves no memory (`distill.models.padding`) and only costs time.
        view = self.tokenizer.encode(texts)._replace(pad_to=PAD_TO if self.model.precision == "bfloat16" else 1)
        logits = np.empty((len(texts), 2), np.float32)
        for rows in length_buckets(padded(view.lengths, view.pad_to), BATCH_TOKENS[self.device.type]):
            logits[rows.numpy()] = self.network(view.take(rows))
        self.texts += len(texts)
        return finite(logits)


class TextCnnTeacher:
    """A student of the registry, such as the one now in production."""

    def __init__(self, scorer: Scorer):
        self.scorer = scorer

    def logits(self, texts: list[str]) -> npt.NDArray[np.float32]:
        """See `Teacher`."""
        return finite(self.scorer.logits(self.scorer.vocabulary.encode_batch(texts)))


def finite(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The logits; raises BadModel when one of them is NaN or infinite, which no student could learn from."""
    if bad := int((~np.isfinite(logits)).any(axis=1).sum()):
        raise BadModel(
            f"the teacher gives NaN or infinity for {bad} of {len(logits)} texts; use --precision float32, or train it "
            "again with a lower --learning-rate"
        )
    return logits


def teacher_of(bundle: Bundle, precision: Precision, device: str = "cpu", threads: int | None = None) -> Teacher:
    """The model of a bundle on a device such as "cuda:0"; threads: of torch in this process.

    Raises BadModel for an unknown kind of model, BadInput when it needs a package that is not installed.
    """
    if threads:
        torch.set_num_threads(threads)
    if section(bundle, "architecture").get("kind") == TEXTCNN:
        return TextCnnTeacher(Scorer(bundle))
    need_transformers("a BERT as a teacher")
    from distill.models.bert import from_bundle  # late: it needs transformers, which a textCNN does not

    return BertTeacher(*from_bundle(bundle, precision), torch.device(device))


def fingerprint(digest: str, precision: Precision) -> str:
    """The fingerprint of stored logits: the bundle's digest (tensors, tokenizer, max length) and the precision."""
    return f"{digest}/{precision}"
