"""Variants: with which model a customer is decided for, or in the control group with none."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import msgspec
from msgspec.structs import replace

from kaireon_core.catalog.document import Document
from kaireon_core.decisioning.calendar import DAY_MS
from kaireon_core.decisioning.flow import AnyNode, Flow, Score, ScoreConfig
from kaireon_core.experimentation.bucket import arm_of, bucket_of

# The variant of who is held out: decided by priority alone.
CONTROL = "__holdout__"
ASSIGNED_MS = 30 * DAY_MS
# An experiment in one of these states is over, or waits: the champion decides for everybody.
_STOPPED = frozenset({"paused", "completed", "archived"})
# A percentage has two decimals at most that count.
_FINE_BUCKETS = 10_000

# (variant, until when in ms), by experiment key: what is stored of a customer.
Assignments = Mapping[str, tuple[str, int]]


class Split(msgspec.Struct, frozen=True, kw_only=True):
    """The arms of a running experiment: model keys with their weights, the champion first; weights add up to 100.

    `holdout_percent` of the customers are in no arm: they are held out of the experiment.
    """

    key: str
    arms: tuple[tuple[str, int], ...]
    holdout_percent: int = 0

    @property
    def variants(self) -> list[str]:
        """The names of the variants that customers may have."""
        return [*(model for model, _ in self.arms), *([CONTROL] if self.holdout_percent > 0 else [])]


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """How one customer is decided for: `name` is a model key, `CONTROL`, or None for the flow as it is published.

    `is_new` asks for the assignment to be stored.
    """

    name: str | None = None
    experiment_key: str | None = None
    is_new: bool = False

    @property
    def is_control(self) -> bool:
        """Whether the customer is held out."""
        return self.name == CONTROL


AS_PUBLISHED = Variant()


def split_of(flow: Flow, flow_key: str, experiments: Iterable[Document]) -> Split | None:
    """Return the split of a flow's score node, None without one that runs."""
    config = next((node.config for node in flow.nodes if isinstance(node, Score)), ScoreConfig())
    contest = config.champion_challenger
    if contest is None or not contest.enabled:
        return None
    named = contest.experiment_id
    experiment = next((one for one in experiments if named in (one.id, one.key)), None) if named else None
    if experiment is not None and experiment.status in _STOPPED:
        return None
    arms = tuple((arm.model_key, arm.weight) for arm in (contest.champion, *contest.challengers))
    if experiment is None:
        return Split(key=flow_key, arms=arms)
    return Split(key=experiment.key, arms=arms, holdout_percent=experiment.body.get("holdoutPercent", 0))


def is_held_out(customer_id: str, percentage: float) -> bool:
    """Return whether a customer belongs to the tenant's control group."""
    return percentage > 0 and bucket_of(CONTROL, customer_id, _FINE_BUCKETS) < percentage * (_FINE_BUCKETS // 100)


def assign(split: Split, customer_id: str, stored: Assignments, now_ms: int) -> Variant:
    """Return the customer's variant: the stored one while it holds and still takes part, else by bucket."""
    name, until_ms = stored.get(split.key, ("", 0))
    if now_ms < until_ms and name in split.variants:
        return Variant(name=name, experiment_key=split.key)
    return Variant(name=_drawn(split, customer_id), experiment_key=split.key, is_new=True)


def _drawn(split: Split, customer_id: str) -> str:
    """Return the variant of a customer who has none: whether they are held out says nothing of whose arm they are."""
    # The customer first: two FNV hashes with the same ending have buckets that go together.
    if bucket_of(customer_id, f"{split.key}:{CONTROL}") < split.holdout_percent:
        return CONTROL
    arm = arm_of(bucket_of(split.key, customer_id), [weight for _, weight in split.arms])
    return split.arms[arm][0]


def variant_flow(flow: Flow, variant: str | None) -> Flow:
    """Return the flow as it decides for a variant: scored by its model, or for the control group by priority alone."""
    return replace(flow, nodes=[*_varied(flow.nodes, variant)])


def _varied(nodes: Iterable[AnyNode], variant: str | None) -> Iterator[AnyNode]:
    for node in nodes:
        if isinstance(node, Score) and variant is not None:
            yield replace(node, config=_scoring(node.config, variant))
        elif variant != CONTROL or node.type != "optimize":
            yield node


def _scoring(config: ScoreConfig, variant: str) -> ScoreConfig:
    if variant == CONTROL:
        return ScoreConfig()
    changes: dict[str, Any] = {"model_key": variant, "champion_challenger": None}
    if config.method == "priority_weighted":
        changes["method"] = "propensity"
    return replace(config, **changes)
