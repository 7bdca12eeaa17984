"""Every kind of configured thing can be applied from documents, or there is a reason why not."""

from __future__ import annotations

from kaireon_application.governance.configured_kinds import CONFIGURED_KINDS
from kaireon_application.governance.gitops import KINDS

NOT_APPLIED = {
    "decision_flow": "is published, with its own versions and approvals",
    "algorithm_model": "has a lifecycle of its own: trained, promoted, rolled back",
    "experiment": "starts, ends and promotes by itself, which a document would undo",
    "schema": "is a table with customers' data",
}


def test_every_kind_is_applied_or_is_not_for_a_reason() -> None:
    applied = {kind.name for kind in KINDS.values()}
    assert applied.isdisjoint(NOT_APPLIED)
    assert applied | set(NOT_APPLIED) == set(CONFIGURED_KINDS)
