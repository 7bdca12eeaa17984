"""Ranking profiles in the reference: which weights hold for a candidate, and which model scores it."""

from __future__ import annotations

from tests.core.decisioning.plain_values import Candidate, Thing, is_named

_DEFAULTS = {"propensityWeight": 0.4, "relevanceWeight": 0.2, "impactWeight": 0.3, "emphasisWeight": 0.1}
_OBJECTIVES = {
    "propensityWeight": ("propensity", "conversion"),
    "relevanceWeight": ("relevance", "recency"),
    "impactWeight": ("impact", "margin"),
    "emphasisWeight": ("emphasis", "fairness"),
}


def weights_of(config: Thing, one: Candidate, catalogue: dict[str, list[Thing]]) -> dict[str, float]:
    overrides: list[Thing] = config.get("strategyOverrides", [])
    names: list[str] = [override["profileId"] for override in overrides if _matches(override, one, catalogue)]
    for name in [*names, config.get("strategyProfileId", "")]:
        profile = next((each for each in catalogue.get("ranking_profiles", []) if is_named(each, [name])), None)
        weights = _mapped(profile["weights"]) if profile else {}
        if any(weights.values()):
            terms = {f"{term}Weight": profile["weights"].get(term, 0) for term in ("uplift", "clv")} if profile else {}
            return {**{name: weight / sum(weights.values()) for name, weight in weights.items()}, **terms}
    return {**_DEFAULTS, **config.get("formula", {})}


def _mapped(weights: Thing) -> dict[str, float]:
    return {name: sum(weights.get(one, 0) for one in pair) for name, pair in _OBJECTIVES.items()}


def _matches(override: Thing, one: Candidate, catalogue: dict[str, list[Thing]]) -> bool:
    value: str = override["value"]
    if override["scope"] == "productType":
        return one.offer.get("productType") == value
    if override["scope"] == "channel":
        return one.channel is not None and (is_named(one.channel, [value]) or one.channel["channelType"] == value)
    category = one.offer.get("categoryId")
    known = [each for each in catalogue.get("categories", []) if each["id"] == category]
    return category is not None and (category == value or any(is_named(each, [value]) for each in known))


def model_of(config: Thing, one: Candidate) -> str | None:
    for override in config.get("overrides", []):
        if one.channel is not None and is_named(one.channel, [override["channelId"]]):
            return override["modelKey"]
    return config.get("modelKey")


def profile_weights(config: Thing, catalogue: dict[str, list[Thing]]) -> dict[str, float]:
    """The weights of an optimize node, its own or those of its profile; none for a profile that is gone."""
    if config.get("weights"):
        return config["weights"]
    found = [one for one in catalogue.get("ranking_profiles", []) if is_named(one, [config.get("profileKey", "")])]
    return found[0]["weights"] if found else {}
