"""A stored model as the policy that is asked about."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from kaireon_application.catalog.entities import Entity
from kaireon_application.learning.policy_target import EpsilonPolicy, GreedyPolicy, Policy, SoftmaxPolicy
from kaireon_core.catalog.document import Document
from kaireon_core.column import Column, Floats, Mask
from kaireon_core.learning.bandit import Bandit, Sums
from kaireon_core.learning.epsilon_greedy import EpsilonGreedy
from kaireon_core.learning.model import Model
from kaireon_core.learning.off_policy.choice import Choice, Epsilon, Softmax, ThompsonChoice, greedy
from kaireon_core.learning.off_policy.log import Codes, DecisionLog
from kaireon_core.learning.off_policy.target import DenseTarget
from kaireon_core.learning.thompson import ThompsonBandit
from kaireon_core.table import CANDIDATE_NAMESPACES, CustomerFacts, Table, split_name

# Called between two parts of the work; raises when it has taken too long.
Check: TypeAlias = Callable[[], None]

_SCORED_AT_ONCE = 200_000
# Behind so many slots of one decision nothing is left out of the choice any more.
_MOST_EARLIER = 50


@dataclass(frozen=True, slots=True)
class ModelTarget:
    """Chooses for each row among what is eligible by the scores of a model; `offers` are those of the log's actions."""

    model: Model
    log: DecisionLog
    offers: Sequence[Entity | None]
    choice: Choice
    check: Check

    def target(self) -> DenseTarget:
        """Return the probabilities of every row, made a part at a time when they are asked for."""
        earlier = earlier_actions(self.log)
        held: dict[int, Floats] = {}

        def probabilities(start: int, stop: int) -> Floats:
            self.check()
            return self.choice(self._scores(start, stop, held), eligible_of(self.log, earlier, start, stop))

        return DenseTarget(probabilities)

    def _scores(self, start: int, stop: int, held: dict[int, Floats]) -> Floats:
        """Return the scores of these rows, (m, A); without a look at customers they are the same for all."""
        width = len(self.log.action_names)
        about_customers = [name for name in self.model.fields if split_name(name)[0] not in CANDIDATE_NAMESPACES]
        if not about_customers:
            if 0 not in held:
                held[0] = np.broadcast_to(self._score([{}]), (1, width))
            return np.broadcast_to(held[0], (stop - start, width))
        found = np.empty((stop - start, width))
        step = max(_SCORED_AT_ONCE // width, 1)
        for first in range(start, stop, step):
            last = min(first + step, stop)
            self.check()
            found[first - start : last - start] = self._score(self._rows(first, last))
        return found

    def _score(self, rows: Sequence[Mapping[str, object]]) -> Floats:
        names = [name for name in self.model.fields if split_name(name)[0] == "offer"]
        documents = [None if offer is None else _document(offer) for offer in self.offers]
        columns = {
            name: Column.from_values(
                [None if document is None else document.value(split_name(name)[1]) for document in documents]
            )
            for name in names
        }
        facts = [CustomerFacts(row, row, _inside(row, "context"), _inside(row, "request")) for row in rows]
        table = Table.of(facts, columns, len(self.offers))
        return np.broadcast_to(self.model.score(table).values, (len(rows), len(self.offers)))

    def _rows(self, start: int, stop: int) -> list[dict[str, object]]:
        columns = {name: column.objects[start:stop].tolist() for name, column in self.log.attributes.items()}
        return [{name: values[row] for name, values in columns.items()} for row in range(stop - start)]


def model_target(
    model: Model, log: DecisionLog, offers: Sequence[Entity | None], policy: Policy | None, check: Check
) -> DenseTarget:
    """Return what a model would choose for each row of a log.

    `offers` are the stored offers of the log's actions, None for an action that is none. A bandit without a policy has
    its own; other models choose their best.
    """
    own = _bandit_choice(model, _arms(model, log, offers), check) if isinstance(model, Bandit) else None
    if isinstance(model, Bandit) and policy is not None:
        return _expected(model, log, offers, policy, check)
    choice = own if own is not None else choice_of(policy or GreedyPolicy())
    return ModelTarget(model, log, offers, choice, check).target()


def choice_of(policy: Policy) -> Choice:
    """Return a policy as what it makes of scores."""
    if isinstance(policy, SoftmaxPolicy):
        return Softmax(policy.temperature)
    return Epsilon(policy.epsilon) if isinstance(policy, EpsilonPolicy) else greedy


def _arms(model: Bandit, log: DecisionLog, offers: Sequence[Entity | None]) -> Floats:
    """Return the two sums of each action's arm, (A, 2), found by the action's name or its offer's id or key."""

    def sums(name: str, offer: Entity | None) -> Sums:
        spellings = (name,) if offer is None else (name, str(offer.id), offer.key)
        return next((model.arms[one] for one in spellings if one in model.arms), model.prior)

    return np.array([sums(name, offer) for name, offer in zip(log.action_names, offers, strict=True)]).reshape(-1, 2)


def _bandit_choice(model: Bandit, sums: Floats, check: Check) -> Choice | None:
    if isinstance(model, ThompsonBandit):
        return ThompsonChoice(sums[:, 0], sums[:, 1], check)
    if isinstance(model, EpsilonGreedy):
        expected = model.expected(sums)
        explore = Epsilon(_exploring(model))
        return lambda scores, eligible: explore(np.broadcast_to(expected, scores.shape), eligible)
    return None


def _exploring(model: EpsilonGreedy) -> float:
    """Return the probability that a decision explores, after all pulls that are known."""
    pulls = max(model.pulls, sum(pulls for _, pulls in model.arms.values()))
    return model.epsilon / (1.0 + model.decay_rate * pulls)


def _expected(
    model: Bandit, log: DecisionLog, offers: Sequence[Entity | None], policy: Policy, check: Check
) -> DenseTarget:
    """Return the target that follows a policy over the expected rewards of a bandit's arms."""
    expected, choice = model.expected(_arms(model, log, offers)), choice_of(policy)
    earlier = earlier_actions(log)

    def probabilities(start: int, stop: int) -> Floats:
        check()
        return choice(np.broadcast_to(expected, (stop - start, len(expected))), eligible_of(log, earlier, start, stop))

    return DenseTarget(probabilities)


def eligible_of(log: DecisionLog, earlier: tuple[Codes, Codes], start: int, stop: int) -> Mask:
    """Return for these rows, (m, A), what the target may choose from.

    That is what the row says was eligible, else every action of the log but those that the decision's earlier rows
    showed: nothing is shown twice.
    """
    if log.eligible is not None:
        return log.eligible.mask(start, stop, len(log.action_names))
    found = np.ones((stop - start, len(log.action_names)), np.bool_)
    rows, actions = earlier
    first, last = np.searchsorted(rows, (start, stop))
    found[rows[first:last] - start, actions[first:last]] = False
    # A log that did show something twice had it to show.
    found[np.arange(stop - start), log.actions[start:stop]] = True
    return found


def earlier_actions(log: DecisionLog) -> tuple[Codes, Codes]:
    """Return pairs of a row and an action that an earlier row of its decision showed, by rising row."""
    order = np.argsort(log.decisions, kind="stable")
    decisions, actions = log.decisions[order], log.actions[order]
    rows, shown = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for back in range(1, _MOST_EARLIER + 1):
        same = np.flatnonzero(decisions[back:] == decisions[:-back])
        if not len(same):
            break
        rows.append(order[same + back])
        shown.append(actions[same])
    all_rows, all_shown = np.concatenate(rows), np.concatenate(shown)
    by_row = np.argsort(all_rows, kind="stable")
    return all_rows[by_row], all_shown[by_row]


def _inside(row: Mapping[str, object], namespace: str) -> Mapping[str, object]:
    """Return the attributes that a log names with this namespace."""
    prefix = f"{namespace}."
    return {name.removeprefix(prefix): value for name, value in row.items() if name.startswith(prefix)}


def _document(offer: Entity) -> Document:
    return Document(id=str(offer.id), key=offer.key, name=offer.name, status=offer.status, body=offer.body)
