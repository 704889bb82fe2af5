"""A complete exam from a recipe and a seed."""

from __future__ import annotations

import math

from bolus.simulate.bolus import make_bolus
from bolus.simulate.enhance import enhancement, make_templates
from bolus.simulate.motion import make_motion
from bolus.simulate.recipe import DEMO, DEMO_SEED, Recipe, generator
from bolus.simulate.scanner import acquire, slice_times, with_margin
from bolus.simulate.slab import without_margin
from bolus.simulate.streaks import make_streaks
from bolus.simulate.subject import make_subject
from bolus.simulate.truth import Truth, make_truth
from bolus.types import Exam, Scanner

KVP = 80.0


def simulate_exam(seed: int = DEMO_SEED, recipe: Recipe = DEMO) -> tuple[Exam, Truth]:
    """Make an exam with known truth; the same seed and recipe give the same exam.

    Parameters
    ----------
    seed : int
        Draws the head, its vessels and perfusion, the bolus, motion and noise.
    recipe : Recipe
        Protocol, bolus and lesion.

    Returns
    -------
    exam : Exam
        Frames in HU, not yet rounded as a scanner does.
    truth : Truth

    Raises
    ------
    UsageError
        The brain atlas isn't installed.
    """
    subject = make_subject(seed, recipe)
    bolus = make_bolus(recipe, generator(seed, "bolus"))
    times_s = slice_times(recipe)
    enhanced, ttp = enhancement(
        subject.perfusion, subject.vessels, make_templates(bolus), with_margin(times_s)
    )
    motion = make_motion(recipe, generator(seed, "motion"))
    streaks = make_streaks(recipe, subject.slab, generator(seed, "streaks"))
    frames = acquire(recipe, subject, enhanced, motion, streaks, generator(seed, "noise"))
    exam = Exam(frames, times_s, without_margin(subject.slab), _scanner(recipe))
    return exam, make_truth(subject, ttp, bolus, times_s, motion, seed, recipe)


def _scanner(recipe: Recipe) -> Scanner:
    return Scanner(
        source="dicom",
        manufacturer="SYNTHETIC",
        model="bolus simulate",
        kernel="STANDARD",
        kvp=KVP,
        exposure_mas=recipe.mas if math.isfinite(recipe.mas) else None,
        slice_thickness_mm=recipe.slice_mm,
    )
