"""The sizes of a student, shared by the network that is trained and the scorer that needs no torch."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from distill.errors import BadModel

KIND = "textcnn"
Precision = Literal["float32", "bfloat16"]  # of a network's matrix products
PrecisionChoice = Literal["auto", "float32", "bfloat16"]  # auto: the fastest of the device


@dataclass(frozen=True)
class Architecture:
    """Sizes of a textCNN: the ids and the filter widths of each channel (see `distill.models.textcnn`).

    wide: the ids of each channel of the wide part.
    """

    ids: dict[str, int]
    widths: dict[str, tuple[int, ...]]
    embedding: int
    filters: int
    wide: dict[str, int] = field(default_factory=dict)

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
            return cls(ids, widths, int(section["embedding"]), int(section["filters"]), wide)
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as e:
            raise BadModel(f"the manifest's architecture is not readable ({e!r}); train the model again") from e


@dataclass(frozen=True)
class Dropout:
    """Dropout rates of a textCNN in training."""

    token: float = 0.2  # a token becomes unknown, so that the unknown embedding is trained
    embedding: float = 0.2  # of the numbers of a token's embedding, alike wherever the token stands in the batch
    feature: float = 0.5
