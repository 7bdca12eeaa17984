"""Names: where each namespace reads from, and along which axis its column runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kaireon_core.column import Column
from kaireon_core.table import Axis, CustomerFacts, Table, axis_of, lookup, split_name

_FACTS = CustomerFacts(
    customer={"age": 40, "home": {"city": "Graz"}, "home.city": "Linz", "offer": "mine"},
    attributes={"age": 40},
    context={"device": {"os": "ios"}},
    request={"channel": "web"},
)


@pytest.mark.parametrize(
    ("name", "expected", "axis"),
    [
        ("age", ("customer", "age"), Axis.CUSTOMER),
        ("customer.age", ("customer", "age"), Axis.CUSTOMER),
        ("home.city", ("customer", "home.city"), Axis.CUSTOMER),
        ("attributes.age", ("attributes", "age"), Axis.CUSTOMER),
        ("context.device.os", ("context", "device.os"), Axis.CUSTOMER),
        ("request.channel", ("request", "channel"), Axis.CUSTOMER),
        ("offer.price", ("offer", "price"), Axis.CANDIDATE),
        ("channel.channelType", ("channel", "channelType"), Axis.CANDIDATE),
        ("creative.weight", ("creative", "weight"), Axis.CANDIDATE),
        ("placement.key", ("placement", "key"), Axis.CANDIDATE),
        # Without a dot it is a customer's attribute, whatever it is called.
        ("offer", ("customer", "offer"), Axis.CUSTOMER),
    ],
)
def test_name_says_where_its_column_is(name: str, expected: tuple[str, str], axis: Axis) -> None:
    assert split_name(name) == expected
    assert axis_of(name) is axis


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("age", 40),
        ("customer.age", 40),
        ("home.city", "Linz"),
        ("context.device.os", "ios"),
        ("context.device.os.version", None),
        ("request.channel", "web"),
        ("attributes.home", None),
        ("offer", "mine"),
    ],
)
def test_customer_column_holds_the_customers_value(name: str, value: Any) -> None:
    table = Table.of([_FACTS], {}, 0)
    column, axis = table.column(name)
    assert (column.objects.tolist(), axis) == ([value], Axis.CUSTOMER)
    made_at_once = Table.of([_FACTS, _FACTS], {}, 0, [name, "age"])
    assert made_at_once.column(name)[0].objects.tolist() == [value, value]


def test_lookup_prefers_the_literal_key() -> None:
    assert lookup({"a.b": 1, "a": {"b": 2, "c": {"d.e": 3}}}, "a.b") == 1
    assert lookup({"a": {"b": 2, "c": {"d.e": 3}}}, "a.c.d.e") == 3
    assert lookup({"a": [1]}, "a.0") is None


def test_selected_candidates_keep_their_values_and_customers() -> None:
    columns = {"offer.n": Column.from_values([1, 2, 3]), "channel.n": Column.from_values([4, 5, 6])}
    table = Table.of([_FACTS], columns, 3)
    selected = table.select(np.array([2, 0], np.int64))
    assert selected.column("offer.n")[0].objects.tolist() == [3, 1]
    assert selected.column("offer.unknown")[0].objects.tolist() == [None, None]
    assert (selected.customers, selected.candidates) == (1, 2)


def test_candidates_without_creative_keep_their_offers_fields_only() -> None:
    columns = {"offer.n": Column.from_values([1, 2]), "channel.n": Column.from_values([4, 5])}
    bare = Table.of([_FACTS], columns, 2).without_creatives(np.array([True, False]))
    assert bare.column("offer.n")[0].objects.tolist() == [1, 2]
    assert bare.column("channel.n")[0].objects.tolist() == [None, 5]
