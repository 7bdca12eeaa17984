"""Categories and sub-categories: the two-level hierarchy of offers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

from kaireon_application.catalog.fields import Count, EntityRef, Key, Label, Name, Status, Text
from kaireon_application.catalog.kind import Cascade, Change, EntityKind, Filter, refers
from kaireon_application.catalog.offer import OFFER
from kaireon_core.decisioning.parse_flow import formula_problems
from kaireon_core.problems import Problem


class CustomField(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A field that offers of a category have; a computed one has a formula and a type of result."""

    key: Label
    label: Label | None = None
    type: Literal["text", "number", "boolean", "select", "date", "computed"] = "text"
    default_value: Any = None
    options: list[Any] = field(default_factory=list)
    required: bool = False
    formula: Text | None = None
    output_type: Literal["number", "text"] | None = None


class NewCategory(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A category as it is created."""

    key: Key | None = None
    name: Name
    status: Status = "active"
    description: Text | None = None
    icon: Label | None = None
    color: Label = "blue"
    ordinal: Count = 0
    custom_fields: Annotated[list[CustomField], Meta(max_length=500)] = field(default_factory=list)


class NewSubCategory(NewCategory, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A sub-category as it is created."""

    category_id: EntityRef


def _problems(change: Change) -> Iterator[Problem]:
    fields: list[dict[str, Any]] = change.document["customFields"]
    seen: set[str] = set()
    for index, custom in enumerate(fields):
        if custom["key"] in seen:
            yield change.problem("this key stands here twice", "customFields", index, "key")
        seen.add(custom["key"])
        if custom["type"] == "computed":
            yield from _formula_problems(change, custom["formula"], index)


def _formula_problems(change: Change, formula: str | None, index: int) -> Iterator[Problem]:
    if not (formula or "").strip():
        yield change.problem("a computed field needs a formula", "customFields", index, "formula")
        return
    yield from formula_problems(formula or "", f"{change.path}.customFields[{index}].formula")


SUB_CATEGORY = EntityKind(
    name="sub_category",
    noun="sub-category",
    path="sub-categories",
    create=NewSubCategory,
    example={"name": "Credit cards", "categoryId": "cards"},
    filters=(Filter(parameter="categoryId", field="categoryId", type=EntityRef, kind="category"),),
    cascades=(Cascade(kind=OFFER, field="subCategoryId"),),
    references=refers(categoryId="category"),
    problems=_problems,
)

CATEGORY = EntityKind(
    name="category",
    noun="category",
    path="categories",
    create=NewCategory,
    example={"name": "Cards", "description": "Everything with a chip"},
    cascades=(Cascade(kind=SUB_CATEGORY, field="categoryId"), Cascade(kind=OFFER, field="categoryId")),
    problems=_problems,
)
