"""Qualification rules: may this customer be offered this?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from kaireon_application.catalog.entities import ListOrder
from kaireon_application.catalog.fields import Key, Label, Name, Percentage, Status, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, Filter, Reference
from kaireon_application.catalog.rule_config import (
    Broken,
    Config,
    Days,
    MetricOperator,
    config_problems,
    metric_reference,
)
from kaireon_application.catalog.scope import (
    ScopeKind,
    Scopes,
    scope_problems,
    scope_references,
    without_idle_scope_id,
)
from kaireon_core.problems import Problem

DecisioningStage = Literal["eligibility", "fit", "match", "ranking"]
Operator = Literal["eq", "neq", "gt", "gte", "lt", "lte", "in", "not_in", "contains", "exists", "not_exists"]

_DEFAULT_FIT_MULTIPLIER = 0.5

# Old names of stages, stored under their present ones.
_RENAMED = {"applicability": "fit", "suitability": "match"}
# Where a rule stands when nobody said so.
_DEFAULT_STAGES = {"propensity_threshold": "match", "recency_check": "match"}


class _RuleConfig(Config, frozen=True, kw_only=True):
    """A soft rule multiplies the score by `fitMultiplier` instead of dropping the candidate."""

    fit_multiplier: Annotated[float, Meta(ge=0.1, le=1)] | UnsetType = UNSET


class SegmentRequired(_RuleConfig, frozen=True, kw_only=True):
    """The customer must be in every one of these segments."""

    required_segments: Annotated[list[Label], Meta(max_length=1000)]


class AttributeCondition(_RuleConfig, frozen=True, kw_only=True):
    """Compares an attribute of the customer, or (offer_attribute) of the offer."""

    attribute: Label
    operator: Operator
    value: Any = UNSET

    def broken(self) -> Iterable[Broken]:
        """A comparison needs something to compare with."""
        if self.operator in {"exists", "not_exists"}:
            return ()
        if self.value is UNSET:
            return [(("value",), f"is required by the operator {self.operator}")]
        if self.operator in {"in", "not_in"} and not isinstance(self.value, list):
            return [(("value",), f"must be a list for the operator {self.operator}")]
        if isinstance(self.value, dict):
            return [(("value",), "must not be an object")]
        return ()


class PropensityThreshold(_RuleConfig, frozen=True, kw_only=True):
    """The customer's propensity for the offer must reach `minScore`."""

    model: Label | None = None
    min_score: Annotated[float, Meta(ge=0, le=1)]


class RecencyCheck(_RuleConfig, frozen=True, kw_only=True):
    """A date of the customer must lie at most `maxDays` back."""

    attribute: Label
    max_days: Days


class RuleMetricCondition(_RuleConfig, frozen=True, kw_only=True):
    """A behavioural metric of the customer must compare like this."""

    metric: Label
    operator: MetricOperator
    value: float


_CONFIGS: dict[str, type[Config]] = {
    "segment_required": SegmentRequired,
    "attribute_condition": AttributeCondition,
    "propensity_threshold": PropensityThreshold,
    "recency_check": RecencyCheck,
    "metric_condition": RuleMetricCondition,
    "offer_attribute": AttributeCondition,
}


class NewQualificationRule(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A qualification rule as it is created; the form of `config` follows from `ruleType`."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    description: Text | None = None
    rule_type: Label
    config: dict[str, Any]
    scope: ScopeKind = "global"
    scope_id: Label | None = None
    scopes: Scopes = field(default_factory=list)
    priority: Percentage = 50
    stage: Literal["qualification", "eligibility", "applicability", "fit", "suitability", "match", "ranking"] | None = (
        None
    )


def _prepare(change: Change) -> Document:
    document = without_idle_scope_id(change.document)
    if document["stage"] is None:
        document["decisioningStage"] = _DEFAULT_STAGES.get(document["ruleType"], "eligibility")
        document["stage"] = "qualification"
    elif "stage" in change.given:
        document["stage"] = _RENAMED.get(document["stage"], document["stage"])
        document["decisioningStage"] = "eligibility" if document["stage"] == "qualification" else document["stage"]
    if document["decisioningStage"] == "fit":
        document["config"] = {"fitMultiplier": _DEFAULT_FIT_MULTIPLIER, **document["config"]}
    return document


def _problems(change: Change) -> Iterator[Problem]:
    yield from scope_problems(change)
    yield from config_problems(change, _CONFIGS)


def _references(document: Document) -> Iterable[Reference]:
    yield from scope_references(document)
    if document["ruleType"] == "metric_condition":
        yield metric_reference()


QUALIFICATION_RULE = EntityKind(
    name="qualification_rule",
    noun="qualification rule",
    path="qualification-rules",
    create=NewQualificationRule,
    example={
        "name": "Adults only",
        "ruleType": "attribute_condition",
        "config": {"attribute": "age", "operator": "gte", "value": 18},
    },
    is_admin_only=True,
    order=ListOrder.PRIORITY,
    filters=(Filter(parameter="stage", field="decisioningStage", type=DecisioningStage),),
    derived_fields={"decisioning_stage": DecisioningStage},
    references=_references,
    prepare=_prepare,
    problems=_problems,
)
