"""The qualify node: may this customer be offered this? Hard rules drop, `fit` rules multiply the score."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from kaireon_core.catalog.document import Document
from kaireon_core.column import Column, Floats, Mask, Operator, Test, any_in, compile_test
from kaireon_core.decisioning.calendar import DAY_MS, instant_ms
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.check import Check
from kaireon_core.decisioning.conditions import compile_condition
from kaireon_core.decisioning.coverage import Coverage, coverage_of, scopes_of
from kaireon_core.decisioning.external import ScoreNeed
from kaireon_core.decisioning.flow import Qualify
from kaireon_core.decisioning.history_needs import HistoryNeeds
from kaireon_core.decisioning.metric_condition import compile_metric_test
from kaireon_core.decisioning.propensity_threshold import propensity_threshold
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import Stage, StagePart, State
from kaireon_core.learning.model import Model
from kaireon_core.table import Axis, axis_of, is_of_offer

DEFAULT_FIT_MULTIPLIER = 0.5
_ABSENCE_TESTS = (Operator.EXISTS, Operator.NOT_EXISTS)
Models: TypeAlias = Mapping[str, Model]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Rule:
    coverage: Coverage
    of_candidates: Mask
    of_offers: Mask
    check: Check
    code: int | None
    multiplier: float

    def covered(self, state: State) -> Mask:
        return state.covered(self.coverage, self.of_candidates, self.of_offers)

    def apply(self, state: State) -> None:
        failing = self.check.failing(state)
        if not any_in(failing):
            return
        failing = state.unless_mandatory(state.inside(self.covered(state)) & failing)
        if self.code is not None:
            state.drop(failing, self.code)
        elif any_in(failing):
            multiplier = np.where(failing, self.multiplier, 1.0)
            state.fit = multiplier if state.fit is None else state.fit * multiplier


def in_order(documents: Sequence[Document], mode: str, selected: Sequence[str]) -> list[Document]:
    """Return the active rules or policies that a node applies: priority descending, then newest first, then id."""
    wanted = set(selected)
    chosen = [
        document
        for document in documents
        if document.status == "active" and (mode == "all" or not wanted.isdisjoint((document.id, document.key)))
    ]
    chosen.sort(key=lambda document: document.id)
    chosen.sort(key=lambda document: document.created_at, reverse=True)
    return sorted(chosen, key=lambda document: -float(document.body.get("priority", 50)))


def compile_qualify(node: Qualify, candidates: Candidates, legend: LegendBuilder, models: Models) -> Stage:
    """Return the stage: for each candidate the first hard rule that fails is the reason.

    `models` are those that may score, by key.
    """
    rules = in_order(candidates.catalogue.qualification_rules, node.config.mode, node.config.rule_ids)
    compiled = [_compile_rule(rule, candidates, legend, models) for rule in rules]

    def apply(state: State) -> None:
        for rule in compiled:
            rule.apply(state)

    asking = [(rule, rule.check.asks) for rule in compiled if rule.check.asks]

    def asks(state: State, alive: Mask) -> list[ScoreNeed]:
        return [need for rule, ask in asking for need in ask(state, alive & rule.covered(state))]

    parts = [
        StagePart(document=document, covered=rule.covered, apply=rule.apply)
        for document, rule in zip(rules, compiled, strict=True)
    ]
    return Stage(
        name="qualify",
        apply=apply,
        asks=asks if asking else None,
        reads=[name for rule in compiled for name in rule.check.reads],
        candidate_reads=[name for rule in compiled for name in rule.check.candidate_reads],
        history=HistoryNeeds.union(one.history for rule in compiled for one in (rule.check, rule.coverage)),
        learned=[one for rule in compiled for one in rule.check.learned],
        needs_evidence=any(rule.check.needs_evidence for rule in compiled),
        parts=parts,
    )


def _compile_rule(rule: Document, candidates: Candidates, legend: LegendBuilder, models: Models) -> _Rule:
    config = cast("dict[str, Any]", rule.body["config"])
    coverage = coverage_of(scopes_of(rule.body, "global"), candidates.catalogue)
    rule_type = str(rule.body["ruleType"])
    build, describe = _TYPES.get(rule_type, (_not_evaluated, _describe_unknown))
    code = None
    if rule.body.get("stage") != "fit":
        detail = {"ruleType": rule_type, "scope": coverage.text, **config}
        message = f"{describe(config)} (rule '{rule.name}')"
        code = legend.add(rule_type, message, entity_id=rule.id, entity_name=rule.name, detail=detail)
    return _Rule(
        coverage=coverage,
        of_candidates=coverage.of_candidates(candidates),
        of_offers=coverage.of_offers(candidates),
        check=build(config, candidates, models),
        code=code,
        multiplier=float(config.get("fitMultiplier", DEFAULT_FIT_MULTIPLIER)),
    )


def _attribute_condition(config: dict[str, Any], candidates: Candidates, _models: Models) -> Check:
    name = str(config["attribute"])
    return Check(failing=compile_condition(name, _fails(config), candidates), reads=[name])


def _offer_attribute(config: dict[str, Any], candidates: Candidates, _models: Models) -> Check:
    return Check(failing=compile_condition(_offer_field(config), _fails(config), candidates))


def _offer_field(config: dict[str, Any]) -> str:
    return f"offer.{str(config['attribute']).removeprefix('offer.')}"


def _fails(config: dict[str, Any]) -> Test:
    """A missing attribute passes, unless its absence is what is asked for."""
    operator = Operator(config["operator"])
    test = compile_test(operator, config.get("value"))
    if operator in _ABSENCE_TESTS:
        return lambda column: ~test(column)
    return lambda column: column.is_present & ~test(column)


def _segment_required(config: dict[str, Any], _candidates: Candidates, _models: Models) -> Check:
    """The customer must be in all of the segments; none of them passes."""
    required = frozenset(map(str, config["requiredSegments"]))
    return Check(
        failing=lambda state: np.array([not required <= mine for mine in state.segments], np.bool_)[:, None],
        history=HistoryNeeds(segments=tuple(required)),
    )


def _recency_check(config: dict[str, Any], candidates: Candidates, _models: Models) -> Check:
    """What lies ahead is recent; what is missing or unreadable is not."""
    name = str(config["attribute"])
    longest_ms = float(config["maxDays"]) * DAY_MS

    def is_old(state: State, at_ms: Floats) -> Mask:
        return ~(state.request.now_ms - at_ms <= longest_ms)

    if axis_of(name) is Axis.CUSTOMER:
        return Check(failing=lambda state: is_old(state, _instants(state.table.column(name)[0]))[:, None], reads=[name])
    at_ms = _instants(candidates.column(name))[None, :]
    if is_of_offer(name):
        return Check(failing=lambda state: is_old(state, at_ms))
    return Check(
        failing=lambda state: is_old(state, at_ms if state.bare is None else np.where(state.bare, np.nan, at_ms))
    )


def _instants(column: Column) -> Floats:
    """Return the instants (ms) of dates and timestamps, NaN where there is none."""
    instants = map(instant_ms, column.objects.tolist())
    return np.array([np.nan if instant is None else instant for instant in instants], np.float64)


def _metric_condition(config: dict[str, Any], candidates: Candidates, models: Models) -> Check:
    """A metric that is not computed, because it is paused or gone, does not pass: fail closed."""
    holds, history = compile_metric_test(config, candidates.catalogue)
    if holds is None:
        return _not_evaluated(config, candidates, models)
    return Check(failing=lambda state: ~holds(state), history=history)


def _not_evaluated(_config: dict[str, Any], _candidates: Candidates, _models: Models) -> Check:
    """A type that this version does not evaluate does not pass: fail closed."""
    return Check(failing=lambda _state: np.ones((1, 1), np.bool_))


def _describe_unknown(_config: dict[str, Any]) -> str:
    return "this type of rule is not evaluated, so it does not pass"


def _describe_condition(config: dict[str, Any]) -> str:
    return f"not so: {config['attribute']} {config['operator']} {config.get('value')!r}"


def _describe_propensity(config: dict[str, Any]) -> str:
    return f"propensity below {config['minScore']}, or unknown"


CompileCheck: TypeAlias = Callable[[dict[str, Any], Candidates, Models], Check]
_TYPES: dict[str, tuple[CompileCheck, Callable[[dict[str, Any]], str]]] = {
    "attribute_condition": (_attribute_condition, _describe_condition),
    "offer_attribute": (_offer_attribute, lambda config: "the offer: " + _describe_condition(config)),
    "segment_required": (
        _segment_required,
        lambda config: "Missing required segments: " + ", ".join(config["requiredSegments"]),
    ),
    "recency_check": (
        _recency_check,
        lambda config: f"{config['attribute']} is more than {config['maxDays']} days ago, or unknown",
    ),
    "metric_condition": (
        _metric_condition,
        lambda config: f"not so: metric {config['metric']} {config['operator']} {config['value']}",
    ),
    "propensity_threshold": (propensity_threshold, _describe_propensity),
}
EVALUATED_RULE_TYPES = frozenset(_TYPES)
