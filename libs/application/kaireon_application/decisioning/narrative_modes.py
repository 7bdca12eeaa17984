"""The three ways of telling a decision: which sentences of a language are said, and with what."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from kaireon_application.decisioning.explain_trace import ScoringResult
from kaireon_application.decisioning.narrative_facts import NarrativeFacts
from kaireon_application.decisioning.narrative_words import Words
from kaireon_core.decisioning.reasons import Reason

# An agent hears the main reasons, not all of them.
_MAIN_REASONS = 5
_ABOUT_CONTACTS = frozenset({"contact_policy", "mandatory"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """A narrative, and which share of the facts that it should tell it does tell, 0 to 1."""

    text: str
    completeness: float


def tell_regulator(facts: NarrativeFacts, words: Words) -> Told:
    """Tell everything that the trace knows: what decided, every stage, every reason with its count, every choice."""
    say, trace = words.regulator, facts.trace
    dropped = sum(count for _, count in facts.drops)
    head = [
        say["made"].format(id=trace.recommendation_id, customer=trace.customer_id, at=trace.created_at.isoformat()),
        say["flow"].format(
            version=trace.flow_version,
            flow=trace.decision_flow_key or trace.decision_flow_id,
            snapshot=trace.snapshot_version,
            engine=trace.engine_version,
        ),
        say["asked"].format(
            limit=trace.request.get("limit", words.anyone),
            channel=trace.request.get("channel") or trace.request.get("channelId") or words.anyone,
            placement=trace.request.get("placement") or words.anyone,
        ),
        say["considered"].format(candidates=trace.candidate_count, offers=facts.offers),
    ]
    scoring = [say["priority"]] if facts.model_key is None else [_model(facts, words)]
    scoring += [*_variant(facts, say), *([say["degraded"]] if trace.degraded_scoring else [])]
    chosen = [line for one in facts.chosen for line in _chosen(one, words)] or [say["empty"]]
    total = say["sum"].format(chosen=facts.chosen_candidates, candidates=trace.candidate_count, dropped=dropped)
    text = "\n".join([*head, *_stages(facts, words), *scoring, *chosen, total])
    return Told(text=text, completeness=_share(facts.chosen_candidates + dropped, trace.candidate_count))


def _share(told: int, of: int) -> float:
    """Return the share of facts that are told; of no facts, all."""
    return told / of if of else 1.0


def _stages(facts: NarrativeFacts, words: Words) -> Iterator[str]:
    """Yield each stage with its counts, and below it what dropped how many."""
    say, drops = words.regulator, defaultdict[str, list[tuple[Reason, int]]](list)
    for reason, count in facts.drops:
        drops[reason.stage].append((reason, count))
    for stage in facts.trace.funnel:
        yield say["stage"].format(stage=words.stage(stage.stage), entered=stage.in_, left=stage.out)
        # Of several nodes of one type the first tells the reasons of all.
        for reason, count in drops.pop(stage.stage, ()):
            name = reason.entity_name or reason.type
            yield say["dropped"].format(count=count, name=name, reason=reason.message)


def _model(facts: NarrativeFacts, words: Words) -> str:
    return words.regulator["model"].format(model=facts.model_key, type=facts.model_type or words.nothing)


def _variant(facts: NarrativeFacts, say: dict[str, str]) -> Iterator[str]:
    """Yield what set this decision apart from the flow as it is published."""
    assigned = facts.trace.experiment_assignment
    if facts.trace.control_group:
        yield say["control"]
    elif assigned is not None:
        yield say["experiment"].format(experiment=assigned.experiment_key, variant=assigned.variant)


def _chosen(one: ScoringResult, words: Words) -> Iterator[str]:
    yield words.regulator["chosen"].format(
        rank=one.rank,
        offer=one.offer_name,
        key=one.offer_key,
        creative=one.creative_name or words.nothing,
        score=f"{one.score:.6g}",
        propensity=words.nothing if one.propensity is None else f"{one.propensity:.6g}",
        fit=f"{one.fit_multiplier:.6g}",
        probability=words.nothing if one.selection_probability is None else f"{one.selection_probability:.6g}",
    )
    if one.mandatory:
        yield words.regulator["must"]


def tell_agent(facts: NarrativeFacts, words: Words) -> Told:
    """Tell why these offers, in plain words, and the main reasons why not others."""
    say = words.agent
    lines = [_headline(facts, words, say)]
    lines += [say["control"]] if facts.trace.control_group and facts.chosen else []
    lines += [say["degraded"]] if facts.trace.degraded_scoring and facts.chosen else []
    lines += chain.from_iterable(_praised(one, facts, say) for one in facts.chosen)
    main = facts.missed[:_MAIN_REASONS]
    lines += [say["missed"]] if main else []
    for one in main:
        form = say["missed_one" if one.offers == 1 else "missed_other"]
        lines.append(form.format(count=one.offers, reason=_plain(one.reason, words)))
    told = sum(one.offers for one in main)
    if told < facts.missed_offers:
        lines.append(say["missed_rest"].format(count=facts.missed_offers - told))
    chosen = len(facts.chosen)
    return Told(text="\n".join(lines), completeness=_share(chosen + told, chosen + facts.missed_offers))


def _praised(one: ScoringResult, facts: NarrativeFacts, say: dict[str, str]) -> Iterator[str]:
    """Yield why an offer stands where it does."""
    if one.mandatory:
        yield say["must"].format(offer=one.offer_name, rank=one.rank)
    elif one.propensity is None or facts.trace.degraded_scoring:
        yield say["by_priority"].format(offer=one.offer_name, rank=one.rank)
    else:
        yield say["by_model"].format(offer=one.offer_name, rank=one.rank, percent=round(100 * one.propensity))
    if one.selection_probability is not None and one.selection_probability < 1:
        yield say["by_chance"].format(percent=round(100 * one.selection_probability))
    if one.fit_multiplier < 1:
        yield say["less_fitting"]
    if one.creative_id is None:
        yield say["bare"].format(offer=one.offer_name)


def _plain(reason: Reason, words: Words) -> str:
    plain = words.reason(reason.type)
    return plain if not reason.entity_name else words.agent["named"].format(reason=plain, name=reason.entity_name)


def tell_customer(facts: NarrativeFacts, words: Words) -> Told:
    """Tell what was picked and why in general; of rules, scores and anything internal it says nothing."""
    say = words.customer
    lines = [_headline(facts, words, say)]
    if facts.chosen:
        is_by_model = facts.chosen[0].propensity is not None and not facts.trace.degraded_scoring
        lines += [say["by_model" if is_by_model else "by_priority"], say["choice"]]
    else:
        held_back = any(one.reason.stage in _ABOUT_CONTACTS for one in facts.missed)
        lines += [say["not_too_often"]] if held_back else []
        lines.append(say["later"])
    return Told(text=" ".join(lines), completeness=1.0)


def _headline(facts: NarrativeFacts, words: Words, say: dict[str, str]) -> str:
    if not facts.chosen:
        return say["empty"]
    offers = words.listed([one.offer_name for one in facts.chosen])
    return say["chosen_one" if len(facts.chosen) == 1 else "chosen_other"].format(
        count=len(facts.chosen), offers=offers
    )
