"""A model's description comes back as it was written, or not at all."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from bolus.infer.metadata import MAPS, Card, WrongVersionError, read_card, write_card
from bolus.infer.out_of_distribution import GROUP_NAMES, Usual


def a_card() -> Card:
    rng = np.random.default_rng(5)
    usual = tuple(
        Usual(name, rng.normal(size=3), rng.uniform(1, 2, 3), rng.normal(size=(3, 3)), 1.5)
        for name in GROUP_NAMES
    )
    factors = dict(zip(MAPS, (1.1, 1.2, 1.3, 1.4, 1.5), strict=True))
    return Card("a network", factors, usual, {"seed": 7, "licence": "Apache-2.0", "hours": 0.5})


def test_a_card_comes_back_as_it_was_written() -> None:
    card = a_card()
    back = read_card(write_card(card))
    assert (back.name, back.factors, back.training) == (card.name, card.factors, card.training)
    for one, two in zip(card.usual, back.usual, strict=True):
        assert one.name == two.name
        np.testing.assert_allclose(one.whitening, two.whitening, rtol=1e-6)
        np.testing.assert_allclose(one.centre, two.centre, rtol=1e-6)
    assert write_card(back) == write_card(card)


@pytest.mark.parametrize(("key", "value"), [("format", 99), ("inputs", 99), ("maps", {"cbf": "%"})])
def test_another_version_is_distinguished_from_damage(key: str, value: object) -> None:
    content = json.loads(write_card(a_card())) | {key: value}
    with pytest.raises(WrongVersionError, match="this bolus has"):
        read_card(json.dumps(content))


def test_a_card_of_megabytes_is_refused() -> None:
    text = write_card(a_card())
    assert read_card(text + " " * 1_000_000).name == "a network"
    with pytest.raises(ValueError, match="damaged"):
        read_card(text + " " * 2_000_000)


def test_what_another_version_says_of_itself_does_nothing_to_the_terminal() -> None:
    content = json.loads(write_card(a_card())) | {"format": "\x1b[2J\n"}
    with pytest.raises(WrongVersionError) as failed:
        read_card(json.dumps(content))
    assert str(failed.value).isprintable()


def without(key: str) -> Any:
    return lambda content: content.pop(key)


@pytest.mark.parametrize(
    "corrupt",
    [
        without("name"),
        without("usual"),
        without("standard_errors"),
        without("training"),
        lambda c: c.update(name="two\nlines"),
        lambda c: c.update(name=4),
        lambda c: c["standard_errors"].update(cbf=-1),
        lambda c: c["standard_errors"].update(cbf="nan"),
        lambda c: c["usual"][0].update(limit=0),
        lambda c: c["usual"][0].update(scale=[1, 0, 1]),
        lambda c: c["usual"][0].update(scale=[1, 1]),
        lambda c: c["usual"][0].update(centre=[1, "nan", 1]),
        lambda c: c["usual"].pop(),
        lambda c: c["training"].update(seed=[1]),
        lambda c: c["training"].update(seed=float("nan")),
        lambda c: c["training"].update(seed=10**400),
        lambda c: c["standard_errors"].update(cbf=10**400),
        lambda c: c["standard_errors"].update(cbf=1e-300),
        lambda c: c["usual"][0].update(limit=1e-300),
        lambda c: c["usual"][0].update(limit=float("inf")),
        lambda c: c["usual"][0].update(scale=[1, 1e-300, 1]),
        lambda c: c["usual"][0].update(centre=[1, 10**400, 1]),
        lambda c: c["usual"][0].update(centre=[1, 1e300, 1]),
        lambda c: c["usual"][0].update(whitening=[[1e300] * 3] * 3),
        lambda c: c["usual"][0].update(whitening={}),
    ],
)
def test_a_damaged_card_is_refused(corrupt: Any) -> None:
    content = json.loads(write_card(a_card()))
    corrupt(content)
    with pytest.raises(ValueError, match="damaged"):
        read_card(json.dumps(content))


@pytest.mark.parametrize("text", ["", "[]", "7", "{", "[" * 100_000, '{"a":' * 100_000, "1" * 9999])
def test_what_is_no_card_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="damaged"):
        read_card(text)
