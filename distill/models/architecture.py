"""The sizes of a student, shared by the network that is trained and the scorer that needs no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from distill.errors import BadModel

KIND = "textcnn"
EMBEDDING_STD = 0.1  # of the first values of embeddings, and what the averaging part divides their means by
Precision = Literal["float32", "bfloat16"]  # of a network's matrix products
PrecisionChoice = Literal["auto", "float32", "bfloat16"]  # auto: the fastest of the device


@dataclass(frozen=True)
class Architecture:
    """Sizes of a textCNN: the ids and the filter widths of each channel (see `distill.models.textcnn`).

    wide: the ids of each channel of the wide part. average: units of the averaging part, 0 where there is none.
    """

    ids: dict[str, int]
    widths: dict[str, tuple[int, ...]]
    embedding: int
    filters: int
    wide: dict[str, int] = field(default_factory=dict)
    average: int = 0

    def __post_init__(self) -> None:
        """Sort the channels by name, which is the order of the output layer's columns; JSON keeps no other."""
        object.__setattr__(self, "widths", dict(sorted(self.widths.items())))

    @property
    def features(self) -> int:
        """Length of the feature vector: for each channel the filters width by width, then the embeddings' sum."""
        return sum(self.filters * len(widths) + self.embedding for widths in self.widths.values())

    def shapes(self) -> dict[str, tuple[int, ...]]:
        """Shape of every tensor of the network by its name in a bundle."""
        by_name: dict[str, tuple[int, ...]] = {"output.weight": (2, self.features), "output.bias": (2,)}
        for channel, widths in self.widths.items():
            by_name[f"embeddings.{channel}.weight"] = (self.ids[channel], self.embedding)
            for width in widths:
                by_name[f"taps.{channel}_{width}"] = (width, self.filters, self.embedding)
                by_name[f"biases.{channel}_{width}"] = (self.filters,)
        by_name |= {f"wide.{channel}.weight": (ids, 1) for channel, ids in self.wide.items()}
        if self.average:
            by_name |= {f"average.layers.{name}.weight": (self.average, self.embedding) for name in self.widths}
            by_name |= {"average.bias": (self.average,)}
            by_name |= {"average.output.weight": (2, self.average), "average.output.bias": (2,)}
        return by_name

    def to_json(self) -> dict[str, Any]:
        """The section `architecture` of a manifest."""
        return {"kind": KIND, **asdict(self)}

    @classmethod
    def from_json(cls, section: Mapping[str, Any]) -> "Architecture":
        """Read the section of a manifest; raises BadModel for another kind of model."""
        try:
            if section["kind"] != KIND:
                raise BadModel(f"the bundle is a {section['kind']}, not a {KIND}; name a student's version")
            widths = {str(channel): tuple(map(int, w)) for channel, w in section["widths"].items()}
            ids = {str(channel): int(section["ids"][channel]) for channel in widths}
            wide = {str(channel): int(count) for channel, count in section.get("wide", {}).items()}  # older have none
            sizes = int(section["embedding"]), int(section["filters"])
            return cls(ids, widths, *sizes, wide, int(section.get("average", 0)))  # nor of these
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
            raise BadModel(f"the manifest's architecture is not readable ({e!r}); train the model again") from e


@dataclass(frozen=True)
class Dropout:
    """Dropout of a textCNN in training: three rates, and whether each text trains one part alone, drawn at random."""

    token: float = 0.2  # a token becomes unknown, so that the unknown embedding is trained
    embedding: float = 0.2  # of the numbers of a token's embedding, alike wherever the token stands in the batch
    feature: float = 0.5
    part: bool = True
