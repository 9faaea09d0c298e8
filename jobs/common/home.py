"""The home folder of a run, and the registry of models in it."""

from pathlib import Path
from typing import TYPE_CHECKING

from distill.home import usable_home

if TYPE_CHECKING:  # pyarrow takes time that --help does not have
    from distill.models.registry import Registry


def home() -> Path:
    """Folder of everything a run makes; raises BadInput or Infrastructure for one that cannot be used."""
    return usable_home()


def home_registry() -> "Registry":
    """The registry of models in the home folder."""
    from distill.models.registry import Registry

    return Registry(str(home() / "registry"))
