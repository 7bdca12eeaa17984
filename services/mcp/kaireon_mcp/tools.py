"""The tools, as data: which operation of the API each one calls, and what a model is told about it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec


class Effect(StrEnum):
    """What calling a tool does."""

    READ = "read"
    """Nothing is stored."""
    RECORD = "record"
    """Something is stored that is no configuration: a decision, an evaluation."""
    ADD = "add"
    """Something new is configured or recorded; only with MCP_ALLOW_WRITES."""
    CHANGE = "change"
    """What is configured becomes something else; only with MCP_ALLOW_WRITES."""


class Tool(msgspec.Struct, frozen=True, kw_only=True):
    """One tool.

    `operation` is the API's, such as `GET /api/v1/offers/{id}`; `{kind}` in it stands for the argument `kind`. `names`
    are the arguments for names in the path that say too little, `content` the one argument that is the whole body.
    """

    name: str
    title: str
    description: str
    operation: str
    effect: Effect = Effect.READ
    names: Mapping[str, str] = {}
    content: str | None = None

    @property
    def is_write(self) -> bool:
        """Whether it needs MCP_ALLOW_WRITES and `confirm`."""
        return self.effect in {Effect.ADD, Effect.CHANGE}

    @property
    def target(self) -> str | None:
        """The operation that reads what calling this would change, which is shown before; None where nothing is."""
        if self.effect is not Effect.CHANGE:
            return None
        path, name, _ = self.operation.partition(" ")[2].partition("{id}")
        return f"GET {path}{name}"

    @property
    def has_kind(self) -> bool:
        """Whether it works on every kind of entity."""
        return "{kind}" in self.operation


KINDS = (
    "offers",
    "creatives",
    "categories",
    "sub-categories",
    "channels",
    "placements",
    "outcome-types",
    "decision-flows",
    "flow-routes",
    "qualification-rules",
    "contact-policies",
    "frequency-caps",
    "guardrails",
    "ranking-profiles",
    "behavioral-metrics",
    "segments",
    "schemas",
    "journeys",
    "triggers",
    "algorithm-models",
    "experiments",
    "runs",
)

TOOLS: tuple[Tool, ...] = (
    # decisions
    Tool(
        name="recommend",
        title="Decide for a customer",
        description="Decide now which offers to show to one customer, in what order. The decision is stored, as "
        "one that an application asks for, and counts where a channel takes a decision for an "
        "impression; simulate stores nothing.",
        operation="POST /api/v1/recommend",
        effect=Effect.RECORD,
    ),
    Tool(
        name="simulate",
        title="Decide without storing",
        description="Decide for up to 1,000 customers, listed or of a segment, with a published flow or with a "
        "flow given here, and store nothing. Needs an editor's key.",
        operation="POST /api/v1/simulate",
    ),
    Tool(
        name="list_decisions",
        title="List decisions",
        description="List stored decisions, newest first, of everybody or of one customer.",
        operation="GET /api/v1/decision-traces",
    ),
    Tool(
        name="explain_decision",
        title="Explain a decision",
        description="Explain one stored decision: every candidate with its score, or with the stage and the "
        "reason that dropped it. The id is a recommendationId or a trace's id.",
        operation="GET /api/v1/decision-traces/{id}",
        names={"id": "decisionId"},
    ),
    Tool(
        name="replay_decision",
        title="Replay a decision",
        description="Decide again from the stored inputs of a decision, as it was made or with another flow, "
        "version or model, and tell the differences. Nothing is stored.",
        operation="POST /api/v1/decision-traces/{id}/replay",
        names={"id": "decisionId"},
    ),
    Tool(
        name="narrate_decision",
        title="Tell a decision in words",
        description="Tell a stored decision in words, for a regulator, an agent or the customer.",
        operation="POST /api/v1/decisions/{id}/narrative",
        names={"id": "decisionId"},
    ),
    Tool(
        name="why_not",
        title="Why an offer is not shown",
        description="Explain why one offer is, or is not, shown to one customer now: verdict, stage, and what "
        "would change it. Nothing is stored.",
        operation="GET /api/v1/customers/{id}/why-not/{offerId}",
        names={"id": "customerId"},
    ),
    Tool(
        name="customer_eligibility",
        title="What a customer may be shown",
        description="Tell for every offer whether it may be shown to one customer now. Nothing is stored.",
        operation="GET /api/v1/customers/{id}/eligibility",
        names={"id": "customerId"},
    ),
    # customers
    Tool(
        name="customer_history",
        title="What a customer was shown and did",
        description="List impressions and outcomes, newest first, of everybody or of one customer.",
        operation="GET /api/v1/interaction-history",
    ),
    Tool(
        name="customer_suppressions",
        title="What a customer is not shown",
        description="List the suppressions of one customer: what is not shown until when, and why.",
        operation="GET /api/v1/customers/{id}/suppressions",
        names={"id": "customerId"},
    ),
    Tool(
        name="customer_engagement",
        title="How engaged a customer is",
        description="Tell how engaged one customer is, as worked out last night.",
        operation="GET /api/v1/customers/{id}/engagement-health",
        names={"id": "customerId"},
    ),
    # what is configured
    Tool(
        name="search",
        title="Search",
        description="Find configured things of every kind by words.",
        operation="GET /api/v1/search",
    ),
    Tool(
        name="list_entities",
        title="List configured things",
        description="List offers, creatives, flows, rules, policies, models or another kind, by page. `filters` "
        "narrows a kind by the filters that its list has (offers: categoryId; creatives: offerId, "
        "channelId; algorithm-models: modelType, registryStatus, family).",
        operation="GET /api/v1/{kind}",
    ),
    Tool(
        name="get_entity",
        title="Get a configured thing",
        description="Get one offer, creative, flow, rule, policy, model or another kind, by id or key.",
        operation="GET /api/v1/{kind}/{id}",
    ),
    Tool(
        name="list_flow_versions",
        title="List a flow's versions",
        description="List the published versions of a decision flow, or show one of them.",
        operation="GET /api/v1/decision-flows/{id}/versions",
        names={"id": "flowId"},
    ),
    # models and experiments
    Tool(
        name="model_card",
        title="Show a model's card",
        description="Show what a model is for, what it was trained on, how good it was and how it is used.",
        operation="GET /api/v1/algorithm-models/{id}/card",
        names={"id": "modelId"},
    ),
    Tool(
        name="resolve_lifecycle",
        title="Champion, challengers and shadows",
        description="Tell which models of a family are champion, challengers and shadows, and the share of each.",
        operation="GET /api/v1/algorithm-models/resolve-lifecycle",
    ),
    Tool(
        name="experiment_results",
        title="Show an experiment's results",
        description="Show what an experiment has shown so far, with tests that may be looked at any time.",
        operation="GET /api/v1/experiments/{id}/results",
        names={"id": "experimentId"},
    ),
    Tool(
        name="evaluate_model",
        title="Evaluate a model off-policy",
        description="Estimate from a log or from stored decisions what a model would have earned. The evaluation "
        "is kept. Needs an editor's key.",
        operation="POST /api/v1/algorithm-models/{id}/evaluate",
        effect=Effect.RECORD,
        names={"id": "modelId"},
    ),
    Tool(
        name="evaluate_flow",
        title="Evaluate a flow off-policy",
        description="Estimate what a flow would have earned, by deciding stored decisions again. The evaluation "
        "is kept. Needs an editor's key.",
        operation="POST /api/v1/decision-flows/{id}/evaluate",
        effect=Effect.RECORD,
        names={"id": "flowId"},
    ),
    Tool(
        name="list_evaluations",
        title="List off-policy evaluations",
        description="List kept off-policy evaluations, newest first.",
        operation="GET /api/v1/off-policy-evaluations",
    ),
    # how it goes
    Tool(
        name="dashboard",
        title="Show a dashboard",
        description="Show what was decided over some days, and what came of it.",
        operation="GET /api/v1/dashboard-data",
    ),
    Tool(
        name="decision_health",
        title="How decisions went",
        description="Show how many decisions of some days were empty or degraded, and how long they took.",
        operation="GET /api/v1/dashboards/decision-health/summary",
    ),
    Tool(
        name="count_interactions",
        title="Count interactions",
        description="Count impressions and outcomes of some days by offer, creative, channel or customer.",
        operation="GET /api/v1/interaction-summary",
    ),
    Tool(
        name="get_job",
        title="How a job goes",
        description="Tell how far a job is that another tool has started.",
        operation="GET /api/v1/jobs/{id}",
        names={"id": "jobId"},
    ),
    Tool(
        name="list_audit_log",
        title="Who changed what",
        description="List who changed what, newest first. Needs an admin's key.",
        operation="GET /api/v1/audit-logs",
    ),
    # writes
    Tool(
        name="create_offer",
        title="Create an offer",
        description="Create an offer; a draft unless a status is given.",
        operation="POST /api/v1/offers",
        effect=Effect.ADD,
    ),
    Tool(
        name="update_offer",
        title="Change an offer",
        description="Change fields of an offer, such as its status or its priority; the others stay.",
        operation="PUT /api/v1/offers/{id}",
        effect=Effect.CHANGE,
        names={"id": "offerId"},
    ),
    Tool(
        name="create_entity",
        title="Create a configured thing",
        description="Create a thing of any kind. get_entity shows the form of one; what is wrong is named field "
        "by field. Rules and policies need an admin's key.",
        operation="POST /api/v1/{kind}",
        effect=Effect.ADD,
        content="document",
    ),
    Tool(
        name="update_entity",
        title="Change a configured thing",
        description="Change fields of a thing of any kind; the others stay. Rules and policies need an admin's key.",
        operation="PUT /api/v1/{kind}/{id}",
        effect=Effect.CHANGE,
        content="changes",
    ),
    Tool(
        name="delete_entity",
        title="Delete a configured thing",
        description="Delete a thing of any kind. Rules and policies need an admin's key.",
        operation="DELETE /api/v1/{kind}/{id}",
        effect=Effect.CHANGE,
    ),
    Tool(
        name="publish_flow",
        title="Publish a flow",
        description="Publish a decision flow's draft: live in every process within a second.",
        operation="POST /api/v1/decision-flows/{id}/publish",
        effect=Effect.CHANGE,
        names={"id": "flowId"},
    ),
    Tool(
        name="apply_lifecycle",
        title="Put a family's models into a flow",
        description="Fill the score node of a flow's draft with the champion, challengers and shadows of a family.",
        operation="POST /api/v1/decision-flows/{id}/apply-lifecycle",
        effect=Effect.CHANGE,
        names={"id": "flowId"},
    ),
    Tool(
        name="promote_model",
        title="Promote a model",
        description="Move a model to another registry status: shadow, challenger, champion, retired. The rollback "
        "guard and approvals hold as everywhere.",
        operation="POST /api/v1/algorithm-models/{id}/promote",
        effect=Effect.CHANGE,
        names={"id": "modelId"},
    ),
    Tool(
        name="train_model",
        title="Train a model",
        description="Train a model; the answer names the job, which get_job follows.",
        operation="POST /api/v1/algorithm-models/{id}/train",
        effect=Effect.CHANGE,
        names={"id": "modelId"},
    ),
    Tool(
        name="record_outcome",
        title="Record what a customer did",
        description="Record what a customer did with what was shown; learning and caps follow it.",
        operation="POST /api/v1/respond",
        effect=Effect.ADD,
    ),
)


def operations_of(tool: Tool) -> dict[str, str]:
    """Return the names of the operations that a tool calls, by kind; `""` where it has no kind."""
    if tool.has_kind:
        return {kind: tool.operation.replace("{kind}", kind) for kind in KINDS}
    return {"": tool.operation}


def needed_operations() -> dict[str, bool]:
    """Return the name of every operation that some tool calls, and whether its form is told field by field."""
    needed: dict[str, bool] = {}
    for tool in TOOLS:
        for name in operations_of(tool).values():
            needed[name] = needed.get(name, False) or not tool.has_kind
        if tool.target and not tool.has_kind:
            needed.setdefault(tool.target, False)
    return needed
