"""The names, formulas and properties of the reference."""

from __future__ import annotations

import re
from typing import Any, cast

from kaireon_core.formula.syntax import Constant, Expression, Name, parse
from tests.core.decisioning.plain_values import Candidate, Thing, get, value_of
from tests.core.decisioning.reference_constraints import ConstraintReference
from tests.core.formula import plain

_NAMESPACE = re.compile(r"(customer|attributes|context|request|offer|channel|creative|placement)\.")


class FormulaReference(ConstraintReference):
    nodes: list[Thing]

    def _resolve(self, name: str, candidate: Candidate) -> Any:
        head, dot, rest = name.partition(".")
        things = {
            "offer": candidate.offer,
            "channel": candidate.channel,
            "creative": candidate.creative,
            "placement": candidate.placement,
        }
        if dot and head in things:
            return value_of(things[head], rest)
        if dot and head in ("attributes", "context", "request"):
            return get(self.customer.get(head, {}), rest)
        merged = {**self.customer.get("customer", {}), **self.customer.get("attributes", {})}
        return get(merged, rest if dot and head == "customer" else name)

    def _hooked(self, hook: str) -> list[str]:
        configs: list[Thing] = [node["config"] for node in self.nodes if node["type"] == "extension_point"]
        return [config["formula"] for config in configs if config["hook"] == hook and config.get("formula")]

    def _formula(self, text: str, one: Candidate) -> Any:
        tree = parse(text)
        return plain.evaluate(tree, {name: self._named(name, one) for name in _names(tree)})

    def _named(self, name: str, one: Candidate) -> Any:
        if name in ("score", "propensity"):
            return None if self.stage == "pre_score" else getattr(one, name)
        found = self._resolve(name, one)
        if _NAMESPACE.match(name):
            return found
        of_offer = value_of(one.offer, name)
        return found if of_offer is None or isinstance(of_offer, list | dict) else of_offer

    def _mask(self, formula: str) -> None:
        for one in self._alive():
            if self._formula(formula, one) is not True:
                self._drop(one, "extension_point")

    def _override(self, formula: str) -> None:
        for one in self._alive():
            found = self._formula(formula, one)
            if isinstance(found, int | float) and not isinstance(found, bool):
                one.score = found

    def _properties(self, one: Candidate) -> Thing:
        found: Thing = {}
        for node in self.nodes:
            config: Thing = node.get("config", {})
            if node["type"] == "set_properties":
                properties: Thing = config["properties"]
                for name, value in properties.items():
                    formula = _formula_in(value)
                    found[name] = value if formula is None else self._formula(formula, one)
            elif node["type"] == "compute":
                found |= self._computed(config, one)
        return found

    def _computed(self, config: Thing, one: Candidate) -> Thing:
        levels = [
            self._find("categories", one.offer.get("categoryId")),
            self._find("sub_categories", one.offer.get("subCategoryId")),
        ]
        fields: list[Thing] = [field for level in levels if level for field in level.get("customFields", [])]
        return {
            field["key"]: _typed(self._formula(field["formula"], one), field.get("outputType"))
            for field in fields
            if field["type"] == "computed" and (not config.get("fields") or field["key"] in config["fields"])
        }

    def _alive(self) -> list[Candidate]:
        return [one for one in self.candidates if one.why is None]


def _names(tree: Expression) -> set[str]:
    if isinstance(tree, Name):
        return {tree.name}
    return set() if isinstance(tree, Constant) else set[str]().union(*map(_names, tree.operands))


def _formula_in(value: Any) -> str | None:
    return cast("dict[str, str]", value)["formula"] if isinstance(value, dict) else None


def _typed(value: Any, output_type: str | None) -> Any:
    if value is None or output_type is None:
        return value
    if output_type == "text":
        return plain.text_of(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None
