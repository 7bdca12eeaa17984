"""System-wide caps: at most so many impressions of an offer, category or channel in a calendar period."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any, Literal

from msgspec import Struct

from kaireon_application.catalog.entities import EntityWriter, ListQuery, Tallies
from kaireon_application.catalog.fields import Key, Label, Name, PositiveCount, Status
from kaireon_application.catalog.kind import Change, Document, EntityKind, Filter, Reference
from kaireon_application.errors import InvalidInput

ScopeKind = Literal["offer", "category", "channel"]
_PLACE = ("scope", "scopeId", "period")
_LETTERS = {"daily": "D", "weekly": "W", "monthly": "M"}


class NewFrequencyCap(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A cap as it is created; impressions count from then on."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    scope: ScopeKind
    scope_id: Label
    max_volume: PositiveCount
    period: Literal["daily", "weekly", "monthly"]
    enabled: bool = True


def _references(document: Document) -> Iterable[Reference]:
    return [Reference(path=("scopeId",), kind=document["scope"], triggers=("scope",))]


async def _only_one_of_its_place(writer: EntityWriter, change: Change) -> Document:
    place = {name: change.document[name] for name in _PLACE}
    page = await writer.page(FREQUENCY_CAP.name, ListQuery(limit=1, matching=place))
    if page.entities and (change.previous is None or page.entities[0].id != change.previous.id):
        message = f"the cap '{page.entities[0].key}' has this scope, scopeId and period already"
        raise InvalidInput.at(f"{change.path}.scopeId", message)
    return change.document


def _counted(documents: list[Document], tallies: Tallies) -> list[Document]:
    """Return caps with what they have counted in the current period, and when that ends."""
    return [{**document, **_current(document, tallies)} for document in documents]


def _current(document: Document, tallies: Tallies) -> dict[str, Any]:
    period = document["period"]
    now = tallies.local_now
    amount = tallies.amounts.get(("cap", document["id"], f"{_LETTERS[period]}{_begin(now, period).date()}"), 0)
    return {"currentCount": amount, "resetAt": _next(now, period)}


def _begin(now: datetime, period: str) -> datetime:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0, fold=0)
    if period == "weekly":
        return midnight - timedelta(days=midnight.weekday())
    return midnight.replace(day=1) if period == "monthly" else midnight


def _next(now: datetime, period: str) -> datetime:
    begun = _begin(now, period)
    if period == "monthly":
        return (begun + timedelta(days=32)).replace(day=1)
    return begun + timedelta(days=7 if period == "weekly" else 1)


FREQUENCY_CAP = EntityKind(
    name="frequency_cap",
    noun="frequency cap",
    path="frequency-caps",
    create=NewFrequencyCap,
    example={
        "name": "Gold cards a day",
        "scope": "offer",
        "scopeId": "gold-card",
        "maxVolume": 1000,
        "period": "daily",
    },
    filters=(
        Filter(parameter="scope", field="scope", type=ScopeKind),
        Filter(parameter="period", field="period", type=Literal["daily", "weekly", "monthly"]),
    ),
    derived_fields={"current_count": int, "reset_at": datetime},
    references=_references,
    settle=_only_one_of_its_place,
    counted=_counted,
)
