"""Conditions of the dose study for each exam."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from bolus.errors import UsageError
from bolus.options import Choices
from bolus.study.dose.subsample import PAPER_FRAMES, Selection, selections
from bolus.types import Float64Array


@dataclass(frozen=True)
class DosePlan:
    """Conditions for each exam: every frame selection at every dose with every method."""

    methods: tuple[str, ...] = ("bma",)
    frames: tuple[int, ...] = PAPER_FRAMES
    """Numbers of frames, by the paper's rule."""
    every: tuple[int, ...] = ()
    """Every k-th frame."""
    two_rates: tuple[int, ...] = ()
    """Every k-th frame for 30 s, every 2k-th after that."""
    phases: int | None = None
    """Maximum number of starting frames for each of these; None for all."""
    doses: tuple[float, ...] = (1.0,)
    """Fractions of the exam's dose per frame; full dose is always included."""
    reference: str = "nlr"
    """Method whose maps of the complete exam replace the truth where there is none."""
    preset: str = "calibrated"
    model: Path | None = None
    """A user-supplied network for ``cnn`` instead of the built-in one."""
    seed: int = 0
    """Of the added noise."""

    def check(self) -> None:
        """Raise UsageError for a bad setting, and the errors of `bolus.infer.model.load_model`."""
        Choices(methods=(self.reference,), preset=self.preset).check()
        choices = Choices(methods=self.methods, preset=self.preset, model=self.model)
        choices.check()
        choices.network()
        if not self.methods:
            raise UsageError("give at least one method")
        for name, least, values in (
            ("frames", 2, self.frames), ("every", 1, self.every), ("two-rate", 1, self.two_rates),
            ("phases", 1, () if self.phases is None else (self.phases,)), ("seed", 0, (self.seed,)),
        ):  # fmt: skip
            for value in values:
                if value < least:
                    raise UsageError(f"--{name} is {value}; give {least} or more")
        for dose in self.doses:
            if not 0 < dose <= 1:
                raise UsageError(
                    f"--dose is {dose:g}; give shares of the dose, above 0 and up to 1"
                )

    @property
    def all_doses(self) -> tuple[float, ...]:
        """Each once, full dose first."""
        return tuple(sorted({1.0, *self.doses}, reverse=True))

    def selections(self, times_s: Float64Array) -> list[Selection]:
        """The choices of frames for an exam with (T, Z) times, s; the whole exam comes first."""
        return selections(times_s, self.frames, self.every, self.two_rates, self.phases)
