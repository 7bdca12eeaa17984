"""Offers: what may be proposed."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Annotated, Any
from uuid import UUID

from msgspec import UNSET, Meta, Struct, UnsetType, field

from kaireon_application.catalog.creative import CREATIVE
from kaireon_application.catalog.entities import EntityReader, EntityWriter, Tallies
from kaireon_application.catalog.fields import (
    Count,
    EntityRef,
    Key,
    Label,
    Name,
    OpenObject,
    Percentage,
    Status,
    Tags,
    Text,
)
from kaireon_application.catalog.instant import parse_instant
from kaireon_application.catalog.kind import Cascade, Change, Document, EntityKind, Filter, refers
from kaireon_application.errors import Forbidden
from kaireon_core.problems import Problem

_MANDATORY_FIELDS = frozenset({"mandatory", "mandatoryReason", "mandatoryExpiresAt", "mandatoryApprovedBy"})
_BUDGET_CENTS = (
    "dailyCapCents",
    "lifetimeCapCents",
    "currentDailySpentCents",
    "currentLifetimeSpentCents",
    "costPerOutcomeCents",
    "maxPerDay",
)
_SPENT = frozenset({"currentDailySpentCents", "currentLifetimeSpentCents"})
_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")

Value = Annotated[float, Meta(ge=0, le=100)]


class _Part(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A part of an offer whose absent fields stay absent."""


class Schedule(_Part, frozen=True, kw_only=True):
    """When an offer may be proposed: start included, end excluded; dates or instants, ISO 8601."""

    start_date: str | UnsetType | None = UNSET
    end_date: str | UnsetType | None = UNSET


class Inventory(_Part, frozen=True, kw_only=True):
    """Stock; a positive outcome takes one unit. Without `totalStock` and `remainingStock` nothing is counted."""

    total_stock: Count | UnsetType | None = UNSET
    remaining_stock: Count | UnsetType | None = UNSET


class CustomerCaps(_Part, frozen=True, kw_only=True):
    """At most so many impressions per customer in a calendar day, week or month."""

    daily: Count | UnsetType | None = UNSET
    weekly: Count | UnsetType | None = UNSET
    monthly: Count | UnsetType | None = UNSET


class FrequencyCaps(_Part, frozen=True, kw_only=True):
    """Caps on the impressions of an offer."""

    per_customer: CustomerCaps | UnsetType = UNSET


class NewOffer(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """An offer as it is created. `priority`, `businessValue` and `weight` run from 0 to 100."""

    key: Key | None = None
    name: Name
    status: Status = "draft"
    description: Text | None = None
    short_desc: Text | None = None
    category_id: EntityRef | None = None
    sub_category_id: EntityRef | None = None
    category: Label = "engagement"
    group: Label | None = None
    product_type: Label | None = None
    priority: Percentage = 50
    business_value: Value = 50
    weight: Percentage = 100
    margin: float | None = None
    revenue_value: float | None = None
    mandatory: bool = False
    mandatory_reason: Text | None = None
    mandatory_expires_at: str | None = None
    mandatory_approved_by: str | None = None
    emergency_excluded: bool = False
    eligibility: OpenObject = field(default_factory=dict)
    budget: OpenObject = field(default_factory=dict)
    inventory: Inventory = field(default_factory=Inventory)
    frequency_caps: FrequencyCaps = field(default_factory=FrequencyCaps)
    schedule: Schedule = field(default_factory=Schedule)
    tags: Tags = field(default_factory=list)
    metadata: OpenObject = field(default_factory=dict)
    custom_fields: OpenObject = field(default_factory=dict)


def _authorize(change: Change) -> None:
    """Only an admin makes an offer mandatory, or changes on what terms it is."""
    is_touched = change.document["mandatory"] and not change.given.isdisjoint(_MANDATORY_FIELDS)
    if is_touched and not change.caller.is_admin:
        raise Forbidden("only an admin may make an offer mandatory or change why it is")


def _prepare(change: Change) -> Document:
    """Stock that is told as a total only starts full."""
    inventory: dict[str, Any] = change.document["inventory"]
    total = inventory.get("totalStock")
    if "inventory" not in change.given or total is None or inventory.get("remainingStock") is not None:
        return change.document
    return {**change.document, "inventory": {**inventory, "remainingStock": total}}


def _problems(change: Change) -> Iterator[Problem]:
    yield from _schedule_problems(change)
    yield from _budget_problems(change)
    document = change.document
    if document["subCategoryId"] is not None and document["categoryId"] is None:
        yield change.problem("needs a categoryId, to which it belongs", "subCategoryId")
    if document["mandatory"] and not change.given.isdisjoint(_MANDATORY_FIELDS):
        yield from _mandatory_problems(change)


def _schedule_problems(change: Change) -> Iterator[Problem]:
    schedule: dict[str, str | None] = change.document["schedule"]
    instants = {name: parse_instant(text) for name, text in schedule.items() if text is not None}
    for name, instant in instants.items():
        if instant is None:
            yield change.problem("must be an ISO 8601 date or instant", "schedule", name)
    start, end = instants.get("startDate"), instants.get("endDate")
    if start and end and end <= start:
        yield change.problem("must be after startDate", "schedule", "endDate")


def _budget_problems(change: Change) -> Iterator[Problem]:
    budget: dict[str, Any] = change.document["budget"]
    for name in _BUDGET_CENTS:
        value = budget.get(name)
        if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
            yield change.problem("must be a whole number, 0 or more", "budget", name)
    reset = budget.get("lastDailyResetDate")
    if reset is not None and not (isinstance(reset, str) and parse_instant(reset)):
        yield change.problem("must be an ISO 8601 date", "budget", "lastDailyResetDate")


def _mandatory_problems(change: Change) -> Iterator[Problem]:
    document = change.document
    if not (document["mandatoryReason"] or "").strip():
        yield change.problem("a mandatory offer needs a reason", "mandatoryReason")
    expires_at = parse_instant(document["mandatoryExpiresAt"] or "")
    if expires_at is None or expires_at <= change.caller.at:
        yield change.problem("a mandatory offer needs an instant in the future", "mandatoryExpiresAt")
    if not _ID.fullmatch(document["mandatoryApprovedBy"] or ""):
        yield change.problem("a mandatory offer needs the id of an admin API key as approver", "mandatoryApprovedBy")


async def _check(reader: EntityReader, change: Change) -> Iterable[Problem]:
    document, problems = change.document, list[Problem]()
    sub_category_id = document["subCategoryId"]
    if sub_category_id is not None and not change.given.isdisjoint({"categoryId", "subCategoryId"}):
        sub_category = (await reader.find("sub_category", [sub_category_id])).get(sub_category_id)
        if sub_category is None or sub_category.body["categoryId"] != document["categoryId"]:
            problems.append(change.problem("must belong to the category in categoryId", "subCategoryId"))
    is_mandatory = document["mandatory"] and not change.given.isdisjoint(_MANDATORY_FIELDS)
    if is_mandatory and not await reader.is_admin_key(UUID(document["mandatoryApprovedBy"])):
        problems.append(change.problem("must be the id of an admin API key of this tenant", "mandatoryApprovedBy"))
    return problems


async def _begin_anew(writer: EntityWriter, change: Change) -> Document:
    """What a caller says is left or spent is so from now on; what was counted until now is in it."""
    budget: dict[str, Any] = change.document["budget"]
    told = ["stock"] if "inventory" in change.given else []
    if "budget" in change.given and not _SPENT.isdisjoint(budget):
        told.append("spent")
    if change.previous is not None and told:
        await writer.forget_tallies(change.previous.id, told)
    return change.document


def _counted(documents: list[Document], tallies: Tallies) -> list[Document]:
    """Return offers with the stock that is left and the money that is spent by now."""
    return [_with_counts(document, tallies) for document in documents]


def _with_counts(document: Document, tallies: Tallies) -> Document:
    inventory, budget = dict[str, Any](document["inventory"]), dict[str, Any](document["budget"])
    today = tallies.local_now.date().isoformat()
    taken = tallies.amounts.get(("stock", document["id"], "ever"), 0)
    if taken and inventory.get("remainingStock") is not None:
        inventory["remainingStock"] = max(0, inventory["remainingStock"] - taken)
    spent = tallies.amounts.get(("spent", document["id"], "ever"), 0)
    if spent:
        budget["currentLifetimeSpentCents"] = (budget.get("currentLifetimeSpentCents") or 0) + spent
        reset = budget.get("lastDailyResetDate")
        before = (budget.get("currentDailySpentCents") or 0) if reset is None or reset[: len(today)] == today else 0
        budget["currentDailySpentCents"] = before + tallies.amounts.get(("spent", document["id"], f"D{today}"), 0)
        budget["lastDailyResetDate"] = today
    return {**document, "inventory": inventory, "budget": budget}


OFFER = EntityKind(
    name="offer",
    noun="offer",
    path="offers",
    create=NewOffer,
    example={"name": "Gold card", "key": "gold-card", "status": "active", "priority": 70, "tags": ["cards"]},
    filters=(
        Filter(parameter="categoryId", field="categoryId", type=EntityRef, kind="category"),
        Filter(parameter="subCategoryId", field="subCategoryId", type=EntityRef, kind="sub_category"),
    ),
    cascades=(Cascade(kind=CREATIVE, field="offerId"),),
    references=refers(categoryId="category", subCategoryId="sub_category"),
    authorize=_authorize,
    prepare=_prepare,
    problems=_problems,
    check=_check,
    settle=_begin_anew,
    counted=_counted,
)
