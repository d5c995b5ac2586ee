"""The model card as Markdown and as a page."""

import re
from dataclasses import replace

from camray.core.metrics.group_summary import GroupLine, GroupNumber
from camray.core.metrics.summary import Estimate
from camray.core.model_card.facts import CardFacts, DataFacts, SplitFacts
from camray.domain.contract import ModelContract, NetworkSpec
from camray.reporting.model_card import card_markdown, card_page
from tests.reporting.hostile_texts import TEXT, assert_escaped

SPLITS = {"train": SplitFacts(10, 7, 0, {"Mass": (3, 9)}), "test": SplitFacts(4, 4, 2, {"Mass": (1, 4)})}
DATA = DataFacts("folder", "own films", "unknown", SPLITS, {"PA": 14}, {"DX": 14}, {"blank": 2}, 1, 2, 3, 5, False)
CONTRACT = ModelContract(("Mass",), 96, 64, "letterbox", 8, NetworkSpec(), 6, 4, "d" * 64, 1, "0.2.0")
FACTS = CardFacts("mine", CONTRACT, DATA, ["3 epochs"], shortcuts=[], weights_sha256="a" * 64)


def test_every_fact_is_stated() -> None:
    card = card_markdown(FACTS)
    assert "| train | 10 | 7 | 0 |\n| test | 4 | 4 | 2 |" in card
    assert "| Mass | 3 of 9 | 1 of 4 |" in card
    assert "Boxes on 2 films by 3 reader(s)" in card
    assert "Refused files: blank 2." in card
    assert "- Random, drawn from the seed." in card
    assert "- The run has no scores." in card
    assert "none among the features that it probes" in card
    assert "Without an AUROC (not scored, or films of one class): Mass." in card
    assert "a" * 64 in card
    titles = re.findall(r"^## (.*)$", card, re.MULTILINE)
    assert titles == re.findall(r"<h2>(.*)</h2>", card_page(FACTS))
    assert len(titles) == 11
    assert "- Nothing is promised" in card
    assert "- Mass: PPV 0.5 promised." in card_markdown(replace(FACTS, promises=["Mass: PPV 0.5 promised."]))


def test_weights_and_shortcuts_are_told_apart() -> None:
    contract = replace(CONTRACT, starting_weights="mine.pth, sha256 b")
    card = card_markdown(replace(FACTS, contract=contract, shortcuts=None))
    assert "A local file: mine.pth, sha256 b." in card
    assert "check at the source whether use and redistribution are permitted" in card
    assert "ingested without an audit" in card


def test_of_many_shortcuts_the_first_are_named() -> None:
    card = card_markdown(replace(FACTS, shortcuts=[f"probe {number}" for number in range(10)]))
    assert "- probe 7\n- And 2 more, which the audit lists.\n" in card
    assert "probe 8" not in card


def test_names_cannot_be_markup() -> None:
    contract = replace(CONTRACT, labels=(TEXT + " | *x*",))
    facts = replace(FACTS, contract=contract, data=replace(DATA, title=TEXT))
    assert_escaped(card_page(facts))
    card = card_markdown(facts)
    assert not re.search(r"(?<!\\)[<>*`\[]", card)
    row = next(line for line in card.splitlines() if line.startswith("| \\<img"))
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


def _group(group: str, value: float, low: float, high: float) -> GroupLine:
    undefined = value != value
    own = Estimate(value if undefined else 0.7, 0.6, 0.8, 20, "classifier", "")
    number = GroupNumber("AUROC", own, Estimate(value, low, high, 20, "classifier", ""))
    return GroupLine("test", group, "Mass", 12, 30, (number,))


def test_groups_shown_weaker_are_named_and_too_small_ones_listed() -> None:
    nan = float("nan")
    lines = [_group("sex=F", -0.2, -0.3, -0.1), _group("sex=M", -0.1, -0.3, 0.1), _group("sex=O", nan, nan, nan)]
    card = card_markdown(replace(FACTS, groups=lines))
    assert "- Weaker than all other films: sex=F, Mass: AUROC 0.70, -0.20 (-0.30 to -0.10) to all other films." in card
    assert "| test | sex=M | 0.70; -0.10 (-0.30 to +0.10) |\n| test | sex=O | too few |" in card
    assert "No group is shown to be weaker" in card_markdown(replace(FACTS, groups=lines[1:]))
    assert "Not compared" in card_markdown(FACTS)
