"""What each type of node does, in words, from its configuration as it is written."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias, cast

import msgspec

# A node's configuration by wire names, defaults filled in.
Config: TypeAlias = Mapping[str, Any]
# The words, and the fields of the configuration that they tell.
Words: TypeAlias = tuple[Callable[[Config], str], frozenset[str]]


def node_words(type_: str, config: Config, defaults: Config) -> str:
    """Return what a node does. A field that its words leave out is added as it is, unless it has its default."""
    told, fields = NODE_WORDS.get(type_, (_unknown, frozenset[str]()))
    rest = [
        f"{name} = {_written(value)}"
        for name, value in config.items()
        if name not in fields and value != defaults.get(name)
    ]
    return f"{told(config)}; {', '.join(rest)}" if rest else told(config)


def condition_words(condition: Config) -> str:
    """Return a condition as in filters: all or any of its parts."""
    parts: Sequence[Config] = condition.get("conditions", [])
    if not parts:
        return "always"
    joined = " or " if condition.get("combinator") == "OR" else " and "
    return joined.join(_comparison(part) for part in parts)


def _comparison(part: Config) -> str:
    alone = ("is_null", "is_not_null")
    operator = str(part["operator"])
    return f"{part['field']} {operator}" + ("" if operator in alone else f" {_written(part.get('value'))}")


def _unknown(_config: Config) -> str:
    return "runs as configured"


def _inventory(config: Config) -> str:
    statuses = _or(config["includeStatuses"])
    if config["offerIds"] or config["scope"] == "offers":
        return f"starts with the offers {_and(config['offerIds'])} that are {statuses}"
    if config["scope"] == "category":
        return f"starts with the offers of the categories {_and(config['categoryIds'])} that are {statuses}"
    if config["scope"] == "subcategory":
        return f"starts with the offers of the sub-categories {_and(config['subCategoryIds'])} that are {statuses}"
    return f"starts with all offers that are {statuses}"


def _filter(config: Config) -> str:
    return f"keeps the candidates for which {condition_words(config)}"


def _match_creatives(config: Config) -> str:
    place = {
        "exact": "for the requested channel and exactly the requested placement",
        "any": "for the requested channel, and for the requested placement or any",
        "none": "for the requested channel, whatever the placement",
    }[config["placementMatchMode"]]
    bare = "is dropped" if config["requireCreative"] else "stands for itself"
    return f"joins each offer with its active creatives {place}; an offer without one {bare}"


def _enrich(config: Config) -> str:
    if config["schemaId"] is None:
        return "adds nothing: no schema is configured"
    fields = _and(config["fields"]) if config["fields"] else "all fields"
    return f"adds {fields} of the customer's row in the schema '{config['schemaId']}', found by {config['lookupKey']}"


def _qualify(config: Config) -> str:
    which = "all active qualification rules"
    if config["mode"] == "selected":
        which = f"the qualification rules {_and(config['ruleIds'])}"
    return f"applies {which}: hard ones drop candidates, soft ones lower their score"


def _contact_policy(config: Config) -> str:
    which = "all active contact policies"
    if config["mode"] == "selected":
        which = f"the contact policies {_and(config['policyIds'])}"
    return f"applies {which}: what they block is dropped"


def _conditional(config: Config) -> str:
    return f"sends each candidate down one of two branches: then where {condition_words(config['condition'])}, else"


def _call_flow(config: Config) -> str:
    return f"runs the nodes of this phase of the flow '{config['flowKey']}' in its place"


def _extension_point(config: Config) -> str:
    formula, flow = config["formula"], config.get("flowKey")
    if flow is not None:
        return {
            "pre_score": f"narrows the candidates as the flow '{flow}' does, before they are scored",
            "score_override": f"scores as the flow '{flow}' does",
            "post_rank": f"keeps the ranked candidates that the flow '{flow}' keeps there; the next move up",
        }.get(config["hook"], f"runs the flow '{flow}' ({config['hook']})")
    if formula is None:
        return f"does nothing: nothing is hooked in ({config['hook']})"
    return {
        "pre_score": f"keeps the candidates for which {formula} is true, before they are scored",
        "score_override": f"replaces the score by {formula}",
        "post_rank": f"keeps the ranked candidates for which {formula} is true; the next move up",
    }.get(config["hook"], f"runs {formula} ({config['hook']})")


def _score(config: Config) -> str:
    contest: Config = config.get("championChallenger") or {}
    is_split = bool(contest.get("enabled"))
    floor = config["propensityFloor"]
    raised = "" if floor is None else f", raised to at least {floor:g}"
    propensity = f"the propensity is that of {_predictor(config, contest if is_split else None)}{raised}"
    shadows = _shadows(config.get("shadowModelKeys", []))
    if config["method"] == "formula":
        return f"scores by {_formula(config)} x fit; {propensity}{shadows}"
    if config["method"] == "propensity" or is_split:
        return f"scores by propensity x fit; {propensity}{shadows}"
    return f"scores by priority/100 x weight/100 x fit{shadows}"


def _shadows(keys: Sequence[str]) -> str:
    names = ", ".join(f"'{key}'" for key in keys)
    return f"; in its shadow, without any effect, score {names}" if keys else ""


def _predictor(config: Config, contest: Config | None) -> str:
    """Return whose propensity it is: a model's, that of the model a customer is assigned to, or the evidence's."""
    model = f"the model '{config['modelKey']}'" if config["modelKey"] else "the evidence of responses so far"
    if contest is not None:
        arms: Sequence[Config] = [contest["champion"], *contest["challengers"]]
        shares = ", ".join(f"'{arm['modelKey']}' ({arm['weight']} %)" for arm in arms)
        model = f"the model to which the customer is assigned: {shares}"
    channels = [f"'{one['modelKey']}' on the channel '{one['channelId']}'" for one in config.get("overrides", [])]
    return f"{model}, but {', '.join(channels)}" if channels else model


def _formula(config: Config) -> str:
    """Return the priority formula with its exponents, or with the profile that gives them."""
    weights = cast("Config", config["formula"])
    terms = ("propensity", "relevance", "impact", "emphasis")
    profile = config.get("strategyProfileId")
    overrides: Sequence[Config] = config.get("strategyOverrides", [])
    if profile is None and not overrides:
        return " x ".join(f"{term}^{weights[f'{term}Weight']:g}" for term in terms)
    given = f"the ranking profile '{profile}'" if profile else _written(weights)
    others = [f"'{one['profileId']}' for the {one['scope']} '{one['value']}'" for one in overrides]
    return f"the priority formula with the weights of {', of '.join([given, *others])}"


def _rank(config: Config) -> str:
    chance = "by chance"
    if config.get("epsilon") is not None:
        chance = f"any of them with a chance of {config['epsilon']:g}, else the best"
    elif config.get("temperature") is not None:
        chance = f"with a chance that grows with the score, at the temperature {config['temperature']:g}"
    how = {
        "topN": "ranks by score, then priority, then key",
        "diversity": f"ranks by score, at first at most {config['maxPerCategory'] or 1} of each category",
        "round_robin": "ranks by score, one of each category in turn",
        "explore": f"draws the order, {chance}",
    }.get(config["method"], f"ranks by the method {config['method']}")
    most = config["maxCandidates"]
    return how if most is None else f"{how}; at most {most} are answered"


def _compute(config: Config) -> str:
    fields = f"the computed fields {_and(config['fields'])}" if config["fields"] else "all computed fields"
    return f"evaluates {fields} of the chosen offers' categories"


def _set_properties(config: Config) -> str:
    given = [f"{name} = {_property(value)}" for name, value in config["properties"].items()]
    return f"gives each chosen offer {', '.join(given) or 'nothing'}"


def _property(value: Any) -> str:
    if isinstance(value, dict) and "formula" in value:
        return str(cast("Config", value)["formula"])
    return _written(value)


def _response(config: Config) -> str:
    return f"answers in the {config['responseFormat']} format"


def _optimize(config: Config) -> str:
    profile = config.get("profileKey")
    given = f"the ranking profile '{profile}'" if profile else _written(config.get("weights"))
    floor = config.get("floor")
    dropped = "" if floor is None else f"; what stays below {floor:g} is dropped"
    return f"replaces the score by objectives with the weights of {given}, combined by {config.get('method')}{dropped}"


def _group(config: Config) -> str:
    placements: Sequence[Config] = config.get("placements", [])
    slots = [f"'{one.get('placementId')}' ({one.get('slots')} slots)" for one in placements]
    how = "for the greatest total score" if config.get("method") == "optimal" else "by rank"
    each = "each offer once" if config.get("uniqueOffer", True) else "an offer may stand in several"
    return f"fills the placements {', '.join(slots) or 'that are asked for'} {how}; {each}"


def _and(names: Sequence[str]) -> str:
    return ", ".join(f"'{name}'" for name in names) or "(none)"


def _or(names: Sequence[str]) -> str:
    return " or ".join(names) or "nothing"


def _written(value: Any) -> str:
    return msgspec.json.encode(value).decode()


_ABOUT_OFFERS = frozenset({"scope", "categoryIds", "subCategoryIds", "offerIds", "includeStatuses"})
_ABOUT_SCORE = frozenset(
    {
        "method",
        "modelKey",
        "formula",
        "propensityFloor",
        "strategyProfileId",
        "strategyOverrides",
        "overrides",
        "championChallenger",
        "shadowModelKeys",
    }
)
_ABOUT_RANK = frozenset({"method", "epsilon", "temperature", "maxPerCategory", "maxCandidates"})
NODE_WORDS: dict[str, Words] = {
    "inventory": (_inventory, _ABOUT_OFFERS),
    "filter": (_filter, frozenset({"conditions", "combinator"})),
    "match_creatives": (_match_creatives, frozenset({"requireCreative", "placementMatchMode"})),
    "enrich": (_enrich, frozenset({"schemaId", "lookupKey", "fields"})),
    "qualify": (_qualify, frozenset({"mode", "ruleIds"})),
    "contact_policy": (_contact_policy, frozenset({"mode", "policyIds"})),
    "conditional": (_conditional, frozenset({"condition", "then", "else"})),
    "call_flow": (_call_flow, frozenset({"flowKey"})),
    "extension_point": (_extension_point, frozenset({"hook", "formula", "flowKey"})),
    "score": (_score, _ABOUT_SCORE),
    "optimize": (_optimize, frozenset({"profileKey", "weights", "method", "floor"})),
    "rank": (_rank, _ABOUT_RANK),
    "group": (_group, frozenset({"placements", "method", "uniqueOffer"})),
    "compute": (_compute, frozenset({"fields"})),
    "set_properties": (_set_properties, frozenset({"properties"})),
    "response": (_response, frozenset({"responseFormat"})),
}
