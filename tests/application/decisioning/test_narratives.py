"""The words of narratives: every language says the same things, and what is said stands in the right place."""

from __future__ import annotations

import re
import string
from itertools import product

import msgspec
import pytest
from hypothesis import given

from kaireon_application.decisioning.narrative import NarrativeMode, NarrativeRequest, narrate
from kaireon_application.decisioning.narrative_words import Words, languages, words_of
from tests.application.decisioning.test_replay import recorded, sendable
from tests.core.decisioning.cases import Case
from tests.core.decisioning.worlds import cases


def test_there_are_four_languages() -> None:
    assert languages() == ("de", "en", "es", "fr")


@pytest.mark.parametrize("language", languages())
def test_a_language_says_all_that_english_says_with_the_same_names(language: str) -> None:
    assert _shape(words_of(language)) == _shape(words_of("en"))


def _shape(words: Words) -> dict[str, dict[str, set[str]]]:
    """Return for each sentence the names that are filled in."""
    tables: dict[str, dict[str, str]] = {
        name: value for name, value in msgspec.to_builtins(words).items() if isinstance(value, dict)
    }
    return {
        name: {
            key: {found[1] for found in string.Formatter().parse(sentence) if found[1] is not None}
            for key, sentence in table.items()
        }
        for name, table in tables.items()
    }


@pytest.mark.parametrize(("things", "listed"), [([], ""), (["a"], "a"), (["a", "b"], "a and b")])
def test_things_are_listed(things: list[str], listed: str) -> None:
    assert words_of("en").listed(things) == listed
    assert words_of("de").listed(["a", "b", "c"]) == "a, b und c"


def test_what_has_no_words_is_still_told() -> None:
    words = words_of("fr")
    assert words.stage("something_new") == "something_new"
    assert words.reason("something_new") == words.reasons["other"]


@pytest.mark.parametrize(("language", "told_in"), [("DE", "de"), ("pt-BR", "pt"), ("fr_CA", "fr")])
def test_only_the_language_of_a_code_counts(language: str, told_in: str) -> None:
    request = NarrativeRequest(mode="agent", language=language)  # pyright: ignore[reportArgumentType] - as decoded
    assert request.told_in == told_in
    assert [problem.path for problem in request.problems()] == ([] if told_in in languages() else ["$.language"])


@given(case=cases())
def test_every_decision_can_be_told(case: Case) -> None:
    _, traces = recorded(sendable(case))
    for trace, mode, language in product(traces, NarrativeMode, languages()):
        told = narrate(trace, NarrativeRequest(mode=mode, language=language))
        assert told.narrative
        assert 0 <= told.quality.score <= 1
        assert told == narrate(trace, NarrativeRequest(mode=mode, language=language))


@given(case=cases())
def test_a_regulator_is_told_of_every_candidate(case: Case) -> None:
    _, traces = recorded(sendable(case))
    for trace in traces:
        told = narrate(trace, NarrativeRequest(mode=NarrativeMode.REGULATOR))
        dropped = [int(count) for count in re.findall(r"^  (\d+) dropped, ", told.narrative, re.MULTILINE)]
        chosen = re.findall(r"^Rank \d+: ", told.narrative, re.MULTILINE)
        # A candidate may stand in several placements.
        assert sum(dropped) + len(set(trace.content.picks)) == len(trace.legend.candidates)
        assert len(chosen) == len(trace.content.picks)
        assert told.quality.score == 1
