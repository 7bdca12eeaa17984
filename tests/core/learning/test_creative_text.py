"""What creatives say, and which may be compared."""

from __future__ import annotations

import numpy as np
import pytest

from kaireon_core.learning.analysis import AnalysisRefusal, AnalysisRefused
from kaireon_core.learning.creative_text import ShownCreative, comparable_creatives, term_evidence, text_of
from tests.core.learning.planted import planted_creatives


def test_text_is_what_a_customer_reads() -> None:
    content = {
        "subject": "Your  card, {{customer.name}}",
        "ctaUrl": "https://example.com/free-card",
        "body": ["<b>No fee</b> in the first year", {"cta": "Apply now"}, 5, None, True],
        "image": "/static/a.png",
    }
    assert text_of(content) == "No fee in the first year Apply now Your card,"
    assert text_of(None) == text_of({}) == text_of([{"url": "mailto:a@b"}]) == ""


def shown(text: str, impressions: int, positives: int) -> ShownCreative:
    return ShownCreative(id="x", text=text, impressions=impressions, positives=positives)


def test_creatives_without_words_or_impressions_do_not_count() -> None:
    good = [shown("words", 100, 10)] * 19
    with pytest.raises(AnalysisRefused) as caught:
        comparable_creatives([*good, shown("", 100, 10), shown("words", 19, 10)])
    assert caught.value.refusal is AnalysisRefusal.TOO_FEW_CREATIVES
    assert "19 creatives" in caught.value.message
    assert len(comparable_creatives([*good, shown("words", 20, 10)])) == 20


def test_few_outcomes_say_nothing() -> None:
    with pytest.raises(AnalysisRefused) as caught:
        comparable_creatives([shown("words", 100, 1)] * 49)
    assert caught.value.refusal is AnalysisRefusal.TOO_FEW_OUTCOMES


def test_more_answers_than_impressions_are_no_rate_above_one() -> None:
    assert comparable_creatives([shown("words", 20, 25)] * 20)[0].positives == 20


def test_evidence_compares_creatives_with_and_without_a_term() -> None:
    creatives = planted_creatives(200)
    has_free = np.array(["free" in one.text.split() for one in creatives])
    has_hurry = np.array(["hurry" in one.text.split() for one in creatives])
    free = term_evidence(creatives, "free", 0.5, has_free)
    hurry = term_evidence(creatives, "hurry", 0.2, has_hurry)
    assert (free.direction, free.is_clear, free.support) == ("higher", True, int(has_free.sum()))
    assert (hurry.direction, hurry.is_clear) == ("lower", True)
    assert free.with_term.count + free.without_term.count == sum(one.impressions for one in creatives)
