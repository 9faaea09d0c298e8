"""Targets of hostile bytes: the record parser, the way from text to score, the reader of bundles.

A target is called with a seeded generator and does one round of inputs; it returns a word for the outcome of each. That
a promise is broken is an AssertionError, or any other exception.
"""

import hashlib
import json
import random
import shutil
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from distill.errors import BadModel
from distill.models import bundle
from distill.scoring.scorer import Scorer
from distill.text.normalisation import normalise, unscorable_reason
from distill.text.text_batch import normalise_column
from distill.text.vocabulary import Vocabulary
from jobs.ingest.records import Opinion, Rejected, parse_fields, parse_line
from tests.fuzz.mutate import mutate, mutate_json
from tests.jobs import tiny_model

ROUND = 200  # texts that are scored as one batch
ZONE = ZoneInfo("Asia/Shanghai")
FIELDS = ("opinion_id", "text", "source", "published_at")
TEXTS = [
    *(text.encode() for text in tiny_model.TEXTS),
    "【商城】全场５折起，回复ＴＤ退订；AT&amp;T&nbsp;&#x4e0d;卖…\x1b[31m红\u200b\u202e".encode(),
    "ﷺ①㈠℡ﬁϔİΣé ️😀𠮷ㅤ　 x".encode(),
    b"",
    "退款".encode() * 3000,
]
LINES = [
    json.dumps(fields, ensure_ascii=ascii_only).encode()
    for ascii_only in (False, True)
    for fields in (
        {"opinion_id": "a1", "text": "物业乱收费", "source": "web", "published_at": "2026-11-09T12:00:00+08:00"},
        {"opinion_id": 17, "text": None, "more": [{"x": 1.5}]},
        {"published_at": "2026-11-09", "source": " 微博 ", "text": "😀 \u2028&amp;", "opinion_id": "𠮷"},
    )
]


class Records:
    """Bytes -> Opinion | Rejected, that Arrow and Spark can store; never an exception."""

    def __init__(self, folder: Path):
        """The folder is for other targets."""

    def __call__(self, draw: random.Random) -> list[str]:
        """Lines, and every tenth time columns."""
        outcomes = []
        for n in range(ROUND):
            if n % 10:
                result = parse_line(mutate(draw, draw.choice(LINES), LINES), ZONE)
            else:
                names = draw.sample(FIELDS, draw.randrange(5))
                result = parse_fields({name: mutate(draw, draw.choice(TEXTS), LINES) for name in names}, ZONE)
            assert isinstance(result, Opinion | Rejected)
            for value in result:
                assert not isinstance(value, str) or value == value.encode("utf-8", "replace").decode(), "storable"
            if isinstance(result, Opinion):
                assert result.opinion_id == result.opinion_id.strip() != ""
            outcomes.append("opinion" if isinstance(result, Opinion) else result.reason)
        return outcomes


class Texts:
    """Bytes -> normalised text -> ids -> score, the same alone and in a batch, whatever the bytes."""

    def __init__(self, folder: Path):
        """A tiny student; the folder is for other targets."""
        self.scorer = Scorer(tiny_model.tiny_bundle(1))

    def __call__(self, draw: random.Random) -> list[str]:
        """One batch, as a column of bytes or, where they are UTF-8, of strings."""
        raw = [None if draw.random() < 0.02 else mutate(draw, draw.choice(TEXTS), TEXTS) for _ in range(ROUND)]
        if draw.random() < 0.5:
            raw = [None if r is None else r.decode("utf-8", "replace").encode() for r in raw]
            column = pa.array([None if r is None else r.decode() for r in raw], pa.string())
        else:
            column = pa.array(raw, pa.binary())
        column = column.slice(start := draw.randrange(3))
        expected = [None if r is None else normalise(decoded(r)) for r in raw[start:]]
        result = normalise_column(column)
        texts = [result.codes[a:b].tobytes().decode("utf-32-le") for a, b in pairwise(result.offsets.tolist())]
        assert texts == [text or "" for text in expected]
        vocabulary = self.scorer.vocabulary
        for name, (ids, offsets) in vocabulary.encode_codes(result.codes, result.offsets).channels.items():
            assert offsets[0] == 0 and offsets[-1] == len(ids) and (np.diff(offsets) >= 0).all()
            assert not len(ids) or (ids.min() >= 0 and ids.max() < vocabulary.size(name))
        scored = self.scorer.score(column)
        reasons = scored.reasons.to_pylist()
        assert reasons == [unscorable_reason(text) for text in expected]
        for score, reason in zip(scored.scores, reasons, strict=True):
            assert np.isnan(score) if reason else 0 <= score <= 1
        at = draw.randrange(len(column))
        alone = self.scorer.score(column.slice(at, 1))
        assert alone.scores.tobytes() == scored.scores[at : at + 1].tobytes()
        assert alone.cut[0] == scored.cut[at]
        return [reason or "scored" for reason in reasons]


def decoded(raw: bytes) -> str:
    """Bytes as text: what is no UTF-8 becomes U+FFFD."""
    try:
        return raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return raw.decode("utf-8", "replace")


class Bundles:
    """The files of a bundle -> a model that scores, or BadModel; whether or not the manifest agrees with them."""

    def __init__(self, folder: Path):
        """A tiny student's bundle, saved below the folder."""
        made = tiny_model.tiny_bundle(1)
        self.folder = folder / "bundle"
        shutil.rmtree(self.folder, ignore_errors=True)
        bundle.save(self.folder, made.tensors, made.files, made.manifest)
        self.files = {path.name: path.read_bytes() for path in self.folder.iterdir()}

    def __call__(self, draw: random.Random) -> list[str]:
        """One bundle."""
        files = dict(self.files)
        name = draw.choice(list(files))
        if name != bundle.TENSORS and draw.random() < 0.7:
            content = json.loads(files[name])
            for _ in range(draw.choice((1, 1, 2, 4))):
                content = mutate_json(draw, content)
            files[name] = json.dumps(content).encode()
        elif name == bundle.TENSORS and draw.random() < 0.5:
            files[name] = with_header(files[name], mutate(draw, header_of(files[name]), [header_of(files[name])]))
        else:
            files[name] = mutate(draw, files[name], list(files.values()))
        if name != bundle.MANIFEST and draw.random() < 0.95:
            manifest = json.loads(files[bundle.MANIFEST])
            entry = {"sha256": hashlib.sha256(files[name]).hexdigest(), "bytes": len(files[name])}
            manifest["files"][name] = entry
            if name == bundle.VOCABULARY:
                with suppress(BadModel):
                    manifest["text"]["fingerprint"] = Vocabulary.from_bytes(files[name]).fingerprint()
            files[bundle.MANIFEST] = json.dumps(manifest).encode()
        for written in (name, bundle.MANIFEST):
            (self.folder / written).write_bytes(files[written])
        try:
            loaded = bundle.load(self.folder)
            return [score_one(Scorer(loaded), name)]
        except BadModel as e:
            assert "\n" not in str(e)
            return [f"{name}: refused"]
        finally:
            for written in (name, bundle.MANIFEST):
                (self.folder / written).write_bytes(self.files[written])


def score_one(scorer: Scorer, name: str) -> str:
    """A model that loads must score."""
    scores = scorer.score(tiny_model.TEXTS).scores
    assert ((scores >= 0) & (scores <= 1)).all()
    return f"{name}: loaded"


def header_of(tensors: bytes) -> bytes:
    """The JSON header of safetensors."""
    return tensors[8 : 8 + int.from_bytes(tensors[:8], "little")]


def with_header(tensors: bytes, header: bytes) -> bytes:
    """Other tensors' names, shapes and places over the same numbers."""
    return len(header).to_bytes(8, "little") + header + tensors[8 + len(header_of(tensors)) :]


TARGETS: dict[str, Any] = {"records": Records, "texts": Texts, "bundles": Bundles}
