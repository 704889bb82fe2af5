"""A reader's way through a study, from sign-in to done."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
from browsing import draw, saved, serving

from bolus.study.raters.make import create


def test_reading_from_sign_in_to_done(page: Any, out: Path, tmp_path: Path) -> None:
    study = tmp_path / "study"
    codes = create(study, [out], ("nlr", "cnn"), ("anna", "ben"), repeats=0, seed=3)
    with serving(study) as server:
        page.goto(server.url)
        page.get_by_label("Reader").select_option("anna")
        page.get_by_label("Sign-in code").fill("wrong")
        page.locator("form button").click()
        page.wait_for_selector(".trouble:not(:empty)")
        page.get_by_label("Sign-in code").fill(codes["anna"])
        page.locator("form button").click()
        page.get_by_role("heading", name="0 of 2 readings done").wait_for()
        page.get_by_role("button", name="Open the next reading").click()
        page.wait_for_selector(".viewer[data-loaded]")
        saved(page)

        seen = page.locator("body").inner_text().lower()
        assert "nlr" not in seen
        assert "cnn" not in seen
        assert out.name.lower() not in seen

        key = page.locator(".panel[data-key$='tmax']").get_attribute("data-key")
        page.keyboard.press("p")
        draw(page, key, (0.6, 0.4), (0.7, 0.5))
        page.keyboard.press("w")
        draw(page, key, (0.6, 0.6), (0.7, 0.65))
        saved(page)
        page.get_by_role("button", name="Finish this reading").click()
        page.locator(".topbar .exam", has_text="reading 2 of 2").wait_for()
        page.get_by_role("button", name="Back to the worklist").click()
        page.get_by_role("heading", name="1 of 2 readings done").wait_for()

    (done,) = [
        path
        for path in (study / "readings" / "anna").iterdir()
        if json.loads((path / "reading.json").read_text())["state"] == "done"
    ]
    labels = np.asanyarray(nibabel.load(done / "outline.nii.gz").dataobj)
    assert (labels == 1).sum() > 10
    assert (labels == 2).sum() > 10
    assert json.loads((done / "reading.json").read_text())["active_s"] > 0
