"""What a flow may read about one customer: enriched rows, the request's attributes on top, context, segments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from kaireon_application.decisioning.facts import CustomerRecord
from kaireon_application.decisioning.snapshot import LiveFlow
from kaireon_application.decisioning.wire import RecommendRequest
from kaireon_core.table import CustomerFacts

if TYPE_CHECKING:
    from kaireon_application.decisioning.asked import Asked


def build_customer_facts(asked: Asked, record: CustomerRecord, live: LiveFlow) -> CustomerFacts:
    """Return the enriched rows in the order of their nodes, with the request's attributes laid over them."""
    request = asked.request
    customer = dict[str, Any]()
    for enrichment in live.compiled.needs.enrichments:
        row = record.rows.get(enrichment.row_key) or {}
        if enrichment.fields:
            customer.update((field, row[field]) for field in enrichment.fields if field in row)
        else:
            customer.update(row)
    customer.update(request.attributes)
    return CustomerFacts(
        customer=customer,
        attributes=request.attributes,
        context=request.context,
        request={
            "customerId": asked.customer_id,
            "channel": request.channel,
            "channelId": request.channel_id,
            "placement": request.placement,
            "limit": request.limit,
            "sessionId": request.session_id,
            "locale": request.locale,
            "currency": request.currency,
        },
    )


def segments_of(request: RecommendRequest, customer: CustomerFacts) -> frozenset[str]:
    """Return the union of the request's segments and the customer's `segment` (a string or a list)."""
    own = customer.customer.get("segment")
    mine = cast("list[object]", own) if isinstance(own, list) else [own]
    return frozenset([*request.segments, *(one for one in mine if isinstance(one, str))])
