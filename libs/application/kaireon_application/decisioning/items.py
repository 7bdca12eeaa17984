"""The offers of an answer as they are written on the wire."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from kaireon_application.decisioning.wire import DecisionItem
from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.table import CustomerFacts, lookup


@dataclass(slots=True)
class _Shown:
    """What an item says whoever the customer is."""

    parts: dict[str, Any]
    personalization: list[dict[str, Any]]
    is_implicit: bool


class Standing(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Where a chosen candidate stands in an answer, and how it came there."""

    rank: int
    score: float
    propensity: float | None
    selection_probability: float | None
    is_mandatory: bool
    # Where it goes, None where that is its creative's own placement.
    placement_id: str | None = None


@dataclass(slots=True)
class ItemWriter:
    """Writes the items of one compiled flow; what does not depend on the customer is made once per candidate."""

    flow: CompiledFlow
    # Whether any channel counts what it is given as shown: most answers need not be looked at for that.
    may_be_implicit: bool = field(init=False)
    _shown: dict[tuple[int, bool], _Shown] = field(default_factory=dict[tuple[int, bool], _Shown])

    def __post_init__(self) -> None:
        """Look at the channels once."""
        self.may_be_implicit = any(_is_implicit(channel) for channel in self.flow.candidates.catalogue.channels)

    def write(
        self,
        candidate: int,
        customer: CustomerFacts,
        standing: Standing,
        *,
        is_bare: bool,
        properties: Mapping[str, Any],
    ) -> DecisionItem:
        """Return the item of a chosen candidate; the flow's `properties` stand over the creative's variables."""
        shown = self._of(candidate, is_bare)
        parts: dict[str, Any] = shown.parts
        if standing.placement_id is not None:
            parts = parts | dict[str, Any](placement_id=standing.placement_id)
        return DecisionItem(
            **parts,
            rank=standing.rank,
            score=standing.score,
            propensity=standing.propensity,
            selection_probability=standing.selection_probability,
            mandatory=standing.is_mandatory,
            personalization={**_personalize(shown.personalization, customer), **properties}
            if shown.personalization or properties
            else {},
        )

    def is_implicit(self, candidate: int, *, is_bare: bool) -> bool:
        """Whether the channel counts a returned offer as shown."""
        return self._of(candidate, is_bare).is_implicit

    def _of(self, candidate: int, is_bare: bool) -> _Shown:  # noqa: FBT001 - private
        found = self._shown.get((candidate, is_bare))
        if found is None:
            found = self._shown[candidate, is_bare] = _show(self.flow, candidate, is_bare=is_bare)
        return found


def _show(flow: CompiledFlow, candidate: int, *, is_bare: bool) -> _Shown:
    table, catalogue = flow.candidates, flow.candidates.catalogue
    offer = catalogue.offers[int(table.offer[candidate])]
    creative = _at(catalogue.creatives, -1 if is_bare else int(table.creative[candidate]))
    channel = _at(catalogue.channels, -1 if is_bare else int(table.channel[candidate]))
    placement = _at(catalogue.placements, -1 if is_bare else int(table.placement[candidate]))
    category = next((one for one in catalogue.categories if one.id == offer.body.get("categoryId")), None)
    content = creative.body.get("content") if creative else None
    return _Shown(
        parts={
            "offer_id": offer.id,
            "offer_key": offer.key,
            "offer_name": offer.name,
            "category_id": category.id if category else None,
            "category_name": category.name if category else None,
            "creative_id": creative.id if creative else None,
            "creative_name": creative.name if creative else None,
            "channel_id": channel.id if channel else None,
            "channel_name": channel.name if channel else None,
            "placement_id": placement.id if placement else None,
            "content": None if content is None else msgspec.Raw(msgspec.json.encode(content)),
        },
        personalization=(creative.body.get("personalization") if creative else None) or [],
        is_implicit=channel is not None and _is_implicit(channel),
    )


def _is_implicit(channel: Document) -> bool:
    return channel.body.get("impressionMode") == "implicit"


def _at(documents: tuple[Document, ...], index: int) -> Document | None:
    return documents[index] if index >= 0 else None


def _personalize(variables: list[dict[str, Any]], customer: CustomerFacts) -> dict[str, Any]:
    """Return the creative's variables: each from its source (`customer.first_name`), else its fallback."""
    return {
        str(variable.get("variable") or variable.get("key")): _source(str(variable.get("source")), customer)
        or variable.get("fallback")
        for variable in variables
    }


def _source(name: str, customer: CustomerFacts) -> object:
    namespace, _, field_name = name.partition(".")
    values: dict[str, Mapping[str, Any]] = {
        "customer": customer.customer,
        "attributes": customer.attributes,
        "context": customer.context,
    }
    return lookup(values[namespace], field_name) if namespace in values else None
