"""Everything that Postgres holds about a customer, as one table: what a request for it reads and erases.

A table whose rows name their customer in a column is one line in `SECTIONS`. Where the customer stands in a document,
the line names statements of `sql/customer_data.sql`: `export_<name>` and `erase_<name>`.
"""

from __future__ import annotations

import msgspec


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """A table that holds rows about customers.

    `name` is the section of an export, `count` the key under which an erasure counts. Without `column` the section has
    statements of its own. `data_class` is the class whose legal hold keeps it. What is not exported is a copy of
    other sections.
    """

    name: str
    table: str
    column: str | None = None
    statements: str | None = None
    count: str | None = None
    data_class: str = "interactions"
    is_exported: bool = True


# In the order of an erasure: the customer's row first, whose lock keeps decisions for them waiting.
SECTIONS: tuple[Section, ...] = (
    Section(name="customers", table="customers", column="customer_id"),
    Section(name="interactions", table="interactions", column="customer_id", count="interactionHistory"),
    Section(
        name="interactionSummaries",
        table="interaction_summaries",
        column="customer_id",
        count="interactionSummary",
        data_class="summaries",
    ),
    Section(name="suppressions", table="suppressions", column="customer_id", count="suppression"),
    Section(
        name="decisionTraces",
        table="decision_traces",
        column="customer_id",
        statements="traces",
        count="decisionTrace",
        data_class="decisions",
    ),
    Section(name="variantAssignments", table="variant_assignments", column="customer_id", count="variantAssignment"),
    Section(name="engagementHealth", table="engagement_health", column="customer_id"),
    # Of some customers a hash, so that those of many days can be counted: it says nothing that an export could show.
    Section(
        name="dashboardSketches",
        table="dashboard_sketches",
        statements="sketches",
        data_class="summaries",
        is_exported=False,
    ),
    # The steps go with their enrolments.
    Section(name="journeySteps", table="journey_steps", statements="journey_steps"),
    Section(name="journeyEnrollments", table="journey_enrollments", column="customer_id", count="journeyEnrollment"),
    # The jobs that do what triggers are for hold the event; they are found by it.
    Section(name="triggerJobs", table="jobs", statements="trigger_jobs"),
    Section(name="streamEvents", table="jobs", statements="stream_events"),
    Section(name="triggerFirings", table="trigger_firings", column="customer_id"),
    Section(name="triggerCooldowns", table="trigger_cooldowns", column="customer_id"),
    # Deleted before the stores beside Postgres are: whoever is writing one is waited for, and nobody writes it again.
    Section(name="interactionMarks", table="interaction_marks", column="customer_id", is_exported=False),
    Section(name="outboxEvents", table="outbox_events", column="key"),
    Section(name="deadEvents", table="outbox_dead_letters", column="key"),
    Section(name="runRequests", table="decision_run_chunks", statements="run_requests", data_class="runs"),
    Section(name="runResults", table="decision_run_results", statements="run_results", data_class="runs"),
    Section(name="idempotentAnswers", table="idempotency_keys", statements="idempotent_answers"),
    Section(name="modelEmbeddings", table="model_versions", statements="model_embeddings", data_class="models"),
    Section(name="writtenEmbeddings", table="entities", statements="written_embeddings", data_class="models"),
    Section(name="approvalEmbeddings", table="approvals", statements="approval_embeddings", data_class="models"),
    Section(name="earlierExports", table="dsar_exports", statements="exports", data_class="dsar", is_exported=False),
)

# Columns that look like a customer's, in tables that are no section, and why they are none.
EXEMPT: dict[tuple[str, str], str] = {
    ("tallies", "subject_id"): "an offer or a cap: counts over all customers",
    ("dsar_exports", "customer_ids"): "a section of its own statements",
    ("decision_run_chunks", "customers"): "a section of its own statements",
}

# Documents of tables that are no section, and why no customer is in them, or how they are reached all the same.
DOCUMENTS: dict[str, str] = {
    "tenants.settings": "configuration",
    "flow_versions.config": "configuration",
    "gitops_documents.spec": "configuration, of kinds that hold nothing learned",
    "snapshots.content": "configuration and models as decisions used them; goes with the last decision that did",
    "snapshots.hash": "a hash of its content",
    "api_keys.key_hash": "a hash of a key",
    "audit_logs.changes": "changes of configuration; never rewritten",
    "audit_logs.before": "configuration; never rewritten",
    "audit_logs.after": "configuration; never rewritten",
    "decision_runs.request": "what holds for every customer of a run",
    "decision_runs.summary": "counts over all customers of a run",
    "decision_runs.terms": "configuration",
    "decision_logs.summary": "counts, written anew when rows of the log are erased",
    "decision_log_parts.content": "read and erased by `LoggedCustomers`",
    "off_policy_evaluations.source": "which log, or which days of a flow",
    "off_policy_evaluations.target": "a policy",
    "off_policy_evaluations.result": "estimates over all customers",
    "model_drift_checks.details": "measures over all customers",
    "model_graph_parts.content": "a model's graph",
    "learned_weights.state": "sums over all customers",
    "learned_weights.steps": "sums over all customers",
    "dsar_export_parts.content": "goes with its export",
}

# What an erasure always tells of, as the product does; what is not stored here counts 0.
ALWAYS_COUNTED: tuple[str, ...] = (
    "interactionHistory",
    "interactionSummary",
    "suppression",
    "decisionTrace",
    "attributionResult",
    "variantAssignment",
    "identityLink",
    "journeyEnrollment",
    "dynamicSchemaRows",
)
SCHEMA_ROWS = "dynamicSchemaRows"
LOGGED = "loggedDecisions"
# The class of uploaded logs, which are no section of their own statements.
LOGGED_CLASS = "off_policy"
CACHE = "cachedFacts"
STORED = "storedInteractions"
