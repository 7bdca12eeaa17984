"""Contact policies: may we contact this customer again?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Annotated, Any, Literal
from zoneinfo import available_timezones

from msgspec import UNSET, Meta, Struct, UnsetType, field

from kaireon_application.catalog.entities import ListOrder
from kaireon_application.catalog.fields import EntityRef, Key, Label, Name, Percentage, PositiveCount, Status, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, Filter, Reference
from kaireon_application.catalog.rule_config import (
    Broken,
    Config,
    Days,
    Hours,
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

Segments = Annotated[list[Label], Meta(max_length=1000)]


class _PolicyConfig(Config, frozen=True, kw_only=True):
    """A policy with `bypassable: false` holds for mandatory offers too."""

    bypassable: bool | UnsetType = UNSET


class _PerOffer(_PolicyConfig, frozen=True, kw_only=True):
    """With `perOffer` a policy of global or category scope counts each offer for itself."""

    per_offer: bool | UnsetType = UNSET


class Cap(_PolicyConfig, frozen=True, kw_only=True):
    """At most so many contacts in a calendar day, week or month, or in all; `lookbackHours` makes `maxTotal` roll."""

    max_per_day: PositiveCount | UnsetType = UNSET
    max_per_week: PositiveCount | UnsetType = UNSET
    max_per_month: PositiveCount | UnsetType = UNSET
    max_total: PositiveCount | UnsetType = UNSET
    lookback_hours: Hours | UnsetType = UNSET
    within_campaign_id: Label | UnsetType = UNSET
    exclude_campaign_ids: list[Label] | UnsetType = UNSET
    max_contacts: PositiveCount | UnsetType = UNSET
    window_days: Days | UnsetType = UNSET

    def broken(self) -> Iterable[Broken]:
        """A cap without a number would let everything pass."""
        counts = (self.max_per_day, self.max_per_week, self.max_per_month, self.max_total, self.max_contacts)
        if all(count is UNSET for count in counts):
            yield (), "needs at least one of maxPerDay, maxPerWeek, maxPerMonth, maxTotal (or maxContacts)"
        if self.lookback_hours is not UNSET and self.max_total is UNSET:
            yield ("maxTotal",), "is what lookbackHours applies to"
        if (self.max_contacts is UNSET) != (self.window_days is UNSET):
            yield ("maxContacts",), "goes together with windowDays"


class FrequencyCap(Cap, frozen=True, kw_only=True):
    """Counts the contacts inside the policy's own scope, with `perOffer` each offer for itself."""

    per_offer: bool | UnsetType = UNSET


class Cooldown(_PerOffer, frozen=True, kw_only=True):
    """Blocks for so long after the last contact in scope."""

    cooldown_hours: Hours


class BudgetExhausted(_PolicyConfig, frozen=True, kw_only=True):
    """Blocks once a field of the offer's budget has reached a threshold."""

    budget_field: Label | UnsetType = UNSET
    threshold: float | UnsetType = UNSET
    check_impressions: bool | UnsetType = UNSET
    check_daily_budget: bool | UnsetType = UNSET

    def broken(self) -> Iterable[Broken]:
        """Either form is complete."""
        if (self.budget_field is UNSET) != (self.threshold is UNSET):
            yield ("budgetField",), "goes together with threshold"
        elif self.budget_field is UNSET and self.check_impressions is UNSET and self.check_daily_budget is UNSET:
            yield (), "needs budgetField and threshold"


class OutcomeBased(_PerOffer, frozen=True, kw_only=True):
    """Blocks for so many days after one of these outcomes."""

    after_outcome: Label | Annotated[list[Label], Meta(min_length=1, max_length=100)] | UnsetType = UNSET
    suppress_for_days: Days | UnsetType = UNSET
    outcome_type: Label | UnsetType = UNSET
    lookback_days: Days | UnsetType = UNSET
    action: Literal["suppress"] | UnsetType = UNSET

    def broken(self) -> Iterable[Broken]:
        """Either the present form or the old one, complete."""
        present = {self.after_outcome is UNSET, self.suppress_for_days is UNSET}
        old = {self.outcome_type is UNSET, self.lookback_days is UNSET}
        if present != {False} and old != {False}:
            yield ("afterOutcome",), "is required, with suppressForDays"


class SegmentExclusion(_PolicyConfig, frozen=True, kw_only=True):
    """Blocks customers who are in one of these segments."""

    exclude_segments: Segments


class TimeWindow(_PolicyConfig, frozen=True, kw_only=True):
    """Lets pass on these days (0 = Sunday) from `startHour` to before `endHour` only."""

    allowed_days: Annotated[list[Annotated[int, Meta(ge=0, le=6)]], Meta(min_length=1, max_length=7)] | UnsetType = (
        UNSET
    )
    start_hour: Annotated[int, Meta(ge=0, le=23)] | UnsetType = UNSET
    end_hour: Annotated[int, Meta(ge=0, le=24)] | UnsetType = UNSET
    timezone: Label | UnsetType = UNSET

    def broken(self) -> Iterable[Broken]:
        """A window names days, hours or both, in a zone that exists."""
        if self.allowed_days is UNSET and self.start_hour is UNSET and self.end_hour is UNSET:
            yield (), "needs allowedDays, or startHour and endHour"
        if (self.start_hour is UNSET) != (self.end_hour is UNSET):
            yield ("startHour",), "goes together with endHour"
        if self.timezone is not UNSET and self.timezone not in available_timezones():
            yield ("timezone",), "must be a zone of the IANA database, like Europe/Vienna"


class MutualExclusion(_PolicyConfig, frozen=True, kw_only=True):
    """Of these offers a customer is shown one only."""

    offer_group: Annotated[list[EntityRef], Meta(min_length=1, max_length=1000)]


class AllowOverride(_PolicyConfig, frozen=True, kw_only=True):
    """Frees what it covers from every other policy."""


class CategorySuppression(_PolicyConfig, frozen=True, kw_only=True):
    """Blocks a category for so many days after any response on one of its offers."""

    category_id: EntityRef
    sub_category_id: EntityRef | UnsetType = UNSET
    suppression_days: Days


class PolicyMetricCondition(_PolicyConfig, frozen=True, kw_only=True):
    """Blocks while a behavioural metric of the customer compares like this."""

    metric: Label
    operator: MetricOperator
    value: float


_CONFIGS: dict[str, type[Config]] = {
    "frequency_cap": FrequencyCap,
    "cooldown": Cooldown,
    "budget_exhausted": BudgetExhausted,
    "outcome_based": OutcomeBased,
    "segment_exclusion": SegmentExclusion,
    "time_window": TimeWindow,
    "mutual_exclusion": MutualExclusion,
    "cross_channel_cap": Cap,
    "customer_total_cap": Cap,
    "allow_override": AllowOverride,
    "category_suppression": CategorySuppression,
    "metric_condition": PolicyMetricCondition,
}
# These cover every candidate when no scope is named; the others stand at an offer.
_GLOBAL_BY_NATURE = {
    "segment_exclusion",
    "time_window",
    "mutual_exclusion",
    "customer_total_cap",
    "category_suppression",
}


class NewContactPolicy(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A contact policy as it is created; the form of `config` follows from `ruleType`."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    description: Text | None = None
    rule_type: Label
    config: dict[str, Any]
    scope: ScopeKind | None = None
    scope_id: Label | None = None
    scopes: Scopes = field(default_factory=list)
    priority: Percentage = 50


def _prepare(change: Change) -> Document:
    document = change.document
    if document["scope"] is None:
        is_global = document["ruleType"] in _GLOBAL_BY_NATURE
        document = {**document, "scope": "global" if is_global else "offer"}
    return without_idle_scope_id(document)


def _problems(change: Change) -> Iterator[Problem]:
    yield from scope_problems(change)
    yield from config_problems(change, _CONFIGS)


def _references(document: Document) -> Iterable[Reference]:
    references = list(scope_references(document))
    config: dict[str, Any] = document["config"]
    if document["ruleType"] == "mutual_exclusion":
        references += [
            Reference(path=("config", "offerGroup", index), kind="offer") for index in range(len(config["offerGroup"]))
        ]
    if document["ruleType"] == "category_suppression":
        references.append(Reference(path=("config", "categoryId"), kind="category"))
        if "subCategoryId" in config:
            references.append(Reference(path=("config", "subCategoryId"), kind="sub_category"))
    if document["ruleType"] == "metric_condition":
        references.append(metric_reference())
    return references


CONTACT_POLICY = EntityKind(
    name="contact_policy",
    noun="contact policy",
    path="contact-policies",
    create=NewContactPolicy,
    example={
        "name": "Three a day",
        "ruleType": "frequency_cap",
        "scope": "global",
        "config": {"maxPerDay": 3},
    },
    is_admin_only=True,
    order=ListOrder.PRIORITY,
    filters=(Filter(parameter="ruleType", field="ruleType", type=Label),),
    references=_references,
    prepare=_prepare,
    problems=_problems,
)
