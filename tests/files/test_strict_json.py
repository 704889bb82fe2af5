"""JSON of others: what no computation and no answer could use is refused."""

from __future__ import annotations

import pytest

from bolus.files.strict_json import strict_json


@pytest.mark.parametrize(
    "text",
    ["NaN", "[Infinity]", "-Infinity", "1e999", "-1e999", "9" * 30, "9" * 5000, '"\\ud800"',
     '{"\\uDFFF": 1}', "{", "", '"a" 1'],
)  # fmt: skip
def test_what_nobody_could_compute_with_or_write_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        strict_json(text.encode())


def test_what_is_no_text_or_too_deep_is_refused() -> None:
    with pytest.raises(ValueError):
        strict_json(b"\xff\xfe{}")
    with pytest.raises(RecursionError):
        strict_json(b"[" * 200_000)


def test_everything_else_is_what_json_says() -> None:
    text = '{"a": [1, -2.5e-3, true, null], "\\ud83d\\ude00": "\\u00e9", "most": 9007199254740992}'
    assert strict_json(text.encode()) == {
        "a": [1, -0.0025, True, None], "\U0001f600": "é", "most": 2**53,
    }  # fmt: skip
