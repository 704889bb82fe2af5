"""Options of a run, and the names of methods and presets."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bolus.acquire.given_times import GivenTimes
from bolus.deconvolution.methods import DELAY_METHODS, METHODS
from bolus.errors import UsageError
from bolus.infer.model import Model, load_model
from bolus.lesion.presets import DELAY_PRESETS, PRESET_NAMES
from bolus.types import CNN, Voxel

METHOD_NAMES = (*METHODS, CNN)
"""All methods that give maps: the deconvolutions, and the network, which needs no artery."""
WITH_DELAY = (*DELAY_METHODS, CNN)
"""Methods that estimate when contrast arrives in the tissue."""


@dataclass(frozen=True)
class Choices:
    """Methods, thresholds, and arteries chosen by hand."""

    methods: tuple[str, ...] = ("bma",)
    preset: str = "calibrated"
    aif: Voxel | None = None
    vof: Voxel | None = None
    series: str | None = None
    """SeriesInstanceUID or series number, where an exam holds several scans."""
    given: GivenTimes | None = None
    """Times of the frames that the user gives."""
    model: Path | None = None
    """A user-supplied network instead of the built-in one."""

    def check(self) -> None:
        """Raise UsageError for methods and presets that don't exist or don't go together."""
        if not self.methods:
            raise UsageError(f"no method is given; choose from {', '.join(METHOD_NAMES)}")
        for name in self.methods:
            check_name("method", name, METHOD_NAMES)
        check_name("preset", self.preset, PRESET_NAMES)
        for option, voxel in (("aif", self.aif), ("vof", self.vof)):
            if voxel is not None and not _is_voxel(voxel):
                raise UsageError(f"{option} is a voxel x, y, z (three whole numbers), not {voxel}")
        without = [name for name in self.methods if name not in WITH_DELAY]
        if self.preset in DELAY_PRESETS and without:
            raise UsageError(
                f"preset '{self.preset}' is a threshold on the delay, which {', '.join(without)} "
                f"can't estimate; choose from {', '.join(WITH_DELAY)}"
            )
        if self.model is not None and CNN not in self.methods:
            raise UsageError(
                f"a model requires the method {CNN}; add it (--method {CNN} on the command line)"
            )

    def network(self) -> Model | None:
        """The model that ``cnn`` needs; the same errors as `bolus.infer.model.load_model`."""
        return load_model(self.model) if CNN in self.methods else None


def check_name(kind: str, name: str, known: tuple[str, ...]) -> None:
    """Raise UsageError, listing the valid names, for a name that is not in ``known``."""
    if name not in known:
        raise UsageError(f"no {kind} '{name}'; choose from {', '.join(known)}")


def _is_voxel(voxel: object) -> bool:
    if not isinstance(voxel, tuple) or len(voxel) != 3:
        return False
    return all(isinstance(i, int) and not isinstance(i, bool) and i >= 0 for i in voxel)
