"""The model card as Markdown and as a page, by templates: intended use, data, network, scores, shortcuts, limits."""

import re

from markupsafe import Markup

from camray.core.model_card.facts import CardFacts
from camray.core.model_card.sections import card_sections
from camray.reporting.page_rendering import render

_SPECIAL = re.compile(r"([\\`*\[\]|<>&#])")  # what Markdown would take as its own, or as HTML


def card_markdown(facts: CardFacts) -> str:
    """Return the card as Markdown."""
    return render("model_card.md.j2", name=facts.name, sections=card_sections(facts), plain=_plain)


def card_page(facts: CardFacts) -> str:
    """Return the card as one self-contained page."""
    return render("model_card.html.j2", name=facts.name, sections=card_sections(facts))


def _plain(text: str) -> Markup:
    """Return a text that Markdown shows as it is, in one line."""
    return Markup(_SPECIAL.sub(r"\\\1", " ".join(text.split())))
