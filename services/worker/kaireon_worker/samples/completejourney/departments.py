"""Product departments: their names here, the category each belongs to, and the department of a coupon."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    import pandas as pd


class Department(msgspec.Struct, frozen=True, kw_only=True):
    """A product department that coupons are for: `code` is the data's own name, `category` a key."""

    code: str
    slug: str
    name: str
    category: str

    @property
    def key(self) -> str:
        """The key of its sub-category."""
        return f"cj-{self.slug}"


class CategoryGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A category of offers: a group of departments that lie side by side in a shop."""

    key: str
    name: str


CATEGORIES = (
    CategoryGroup(key="cj-pantry", name="Pantry"),
    CategoryGroup(key="cj-household-care", name="Household and care"),
    CategoryGroup(key="cj-fresh", name="Fresh produce and bakery"),
    CategoryGroup(key="cj-meat-seafood", name="Meat and seafood"),
)

DEPARTMENTS = (
    Department(code="GROCERY", slug="grocery", name="Grocery", category="cj-pantry"),
    Department(code="NUTRITION", slug="nutrition", name="Nutrition", category="cj-pantry"),
    Department(code="DRUG GM", slug="drug-gm", name="Drug and general merchandise", category="cj-household-care"),
    Department(code="COSMETICS", slug="cosmetics", name="Cosmetics", category="cj-household-care"),
    Department(code="FLORAL", slug="floral", name="Floral", category="cj-fresh"),
    Department(code="PRODUCE", slug="produce", name="Produce", category="cj-fresh"),
    Department(code="DELI", slug="deli", name="Deli", category="cj-fresh"),
    Department(code="PASTRY", slug="pastry", name="Pastry", category="cj-fresh"),
    Department(code="MEAT", slug="meat", name="Meat", category="cj-meat-seafood"),
    Department(code="MEAT-PCKGD", slug="packaged-meat", name="Packaged meat", category="cj-meat-seafood"),
    Department(code="SEAFOOD-PCKGD", slug="packaged-seafood", name="Packaged seafood", category="cj-meat-seafood"),
)

BY_CODE = {department.code: department for department in DEPARTMENTS}


def share_column(department: Department) -> str:
    """Return the attribute that holds a department's share of a household's spend."""
    return f"share_{department.slug.replace('-', '_')}"


def coupon_departments(coupons: pd.DataFrame, products: pd.DataFrame) -> pd.DataFrame:
    """Return `campaign_id, coupon_upc, department`: the department of most of a coupon's products.

    A coupon covers products of up to 16 departments; so that a redemption belongs to one offer, each coupon gets the
    department it covers most products of (ties: alphabetical). COUPON and MISCELLANEOUS are bookkeeping, not shelves.
    """
    listed = coupons.drop_duplicates().merge(products[["product_id", "department"]], on="product_id")
    listed = listed[listed["department"].isin(list(BY_CODE))]
    counted = listed.groupby(["campaign_id", "coupon_upc", "department"], as_index=False).size()
    ordered = counted.sort_values(
        ["campaign_id", "coupon_upc", "size", "department"], ascending=[True, True, False, True]
    )
    return ordered.drop_duplicates(["campaign_id", "coupon_upc"])[["campaign_id", "coupon_upc", "department"]]
