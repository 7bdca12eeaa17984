"""The other side: the same rules in zen-engine, in its own form for rules, a decision table."""

from __future__ import annotations

from typing import Any

import msgspec
import zen  # the package zen-engine

from perf.micro import world

_OPERATORS = {"gte": ">=", "gt": ">", "lte": "<=", "lt": "<", "eq": "==", "neq": "!=", "in": "in"}


class Table:
    """A decision table of the rules: its first row that applies says which rule drops a candidate."""

    def __init__(self, offers: int, customer: world.Customer) -> None:
        """Compile the table, and prepare what it is asked, in the form that it takes fastest."""
        self._decision = zen.ZenEngine().create_decision(msgspec.json.encode(_model()).decode())
        rows = [{"customer": customer.attributes, "offer": world.offer_fields(number)} for number in range(offers)]
        self._asked = msgspec.json.encode({"candidates": rows}).decode()

    def failed_rules(self) -> list[int]:
        """Return for each candidate which rule drops it, from 1; 0 for none. One call decides about all of them."""
        answer: Any = self._decision.evaluate(self._asked)
        return [row["rule"] for row in answer["result"]["candidates"]]


class Expression:
    """All the rules merged by hand into one expression: no form that rules are kept in, but the fastest there is."""

    def __init__(self, offers: int, customer: world.Customer) -> None:
        """Compile the expression, and prepare what it is asked."""
        chain = " : ".join(
            f"({_fails(rule).replace('offer.', '#.')}) ? {number}" for number, rule in enumerate(world.RULES, 1)
        )
        self._expression = zen.compile_expression(f"map(candidates, {chain} : 0)")
        offered = [world.offer_fields(number) for number in range(offers)]
        self._asked = msgspec.json.encode({"customer": customer.attributes, "candidates": offered}).decode()

    def failed_rules(self) -> list[int]:
        """Return for each candidate which rule drops it, from 1; 0 for none."""
        return [int(number) for number in self._expression.evaluate(self._asked)]


def _fails(rule: world.Rule) -> str:
    """Return the rule's negation in zen's language, for the candidates of its category."""
    attribute = rule.attribute if rule.attribute.startswith("offer.") else f"customer.{rule.attribute}"
    value = msgspec.json.encode(rule.value).decode()
    holds = f"{value} in {attribute}" if rule.operator == "contains" else None
    negation = f"not ({holds or f'{attribute} {_OPERATORS[rule.operator]} {value}'})"
    return negation if rule.category is None else f'offer.category == "{rule.category}" and {negation}'


def _model() -> dict[str, Any]:
    """Return the table as a model of one node that runs once for each candidate."""
    rows = [{"_id": f"r{number}", "when": _fails(rule), "rule": f"{number}"} for number, rule in _numbered()]
    table = {
        "hitPolicy": "first",
        "inputs": [{"id": "when", "name": "when"}],
        "outputs": [{"id": "rule", "name": "rule", "field": "rule"}],
        "rules": [*rows, {"_id": "none", "when": "", "rule": "0"}],
        "executionMode": "loop",
        "inputField": "candidates",
        "outputPath": "candidates",
        "passThrough": False,
    }
    return {
        "nodes": [
            {"id": "in", "type": "inputNode", "name": "in"},
            {"id": "rules", "type": "decisionTableNode", "name": "rules", "content": table},
            {"id": "out", "type": "outputNode", "name": "out"},
        ],
        "edges": [
            {"id": "first", "type": "edge", "sourceId": "in", "targetId": "rules"},
            {"id": "last", "type": "edge", "sourceId": "rules", "targetId": "out"},
        ],
    }


def _numbered() -> list[tuple[int, world.Rule]]:
    return list(enumerate(world.RULES, 1))
