"""Every metric of the product, each declared once: dashboards, alerts and docs are rendered from this file."""

from __future__ import annotations

from kaireon_runtime.metric import Alert, Kind, Metric

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.4, 0.5, 1.0, 2.5, 5.0, 10.0)
_MILLISECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0, 5000.0)


def _counter(name: str, meaning: str, *labels: str, alert: Alert | None = None) -> Metric:
    return Metric(name=name, kind=Kind.COUNTER, unit="1", meaning=meaning, labels=labels, alert=alert)


def _gauge(name: str, unit: str, meaning: str, *labels: str, alert: Alert | None = None) -> Metric:
    return Metric(name=name, kind=Kind.GAUGE, unit=unit, meaning=meaning, labels=labels, alert=alert)


def _latency_ms(name: str, meaning: str, *labels: str) -> Metric:
    return Metric(name=name, kind=Kind.HISTOGRAM, unit="ms", meaning=meaning, labels=labels, buckets=_MILLISECONDS)


# --- HTTP
HTTP_REQUEST_DURATION = Metric(
    name="kaireon_http_request_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit="seconds",
    meaning="Time from the first byte of a request to the last byte of its answer.",
    labels=("method", "route", "status"),
    buckets=_SECONDS,
    alert=Alert(
        expression=(
            "histogram_quantile(0.99, sum by (le) "
            '(rate(kaireon_http_request_duration_seconds_bucket{route="/api/v1/recommend"}[5m]))) > 0.4'
        ),
        for_seconds=600,
        summary="One decision in a hundred takes more than 400 ms.",
    ),
)
UNEXPECTED_ERRORS = _counter(
    "kaireon_unexpected_errors_total",
    "Errors that no code expected: each one is a defect.",
    "service",
    alert=Alert(
        expression="increase(kaireon_unexpected_errors_total[10m]) > 0",
        for_seconds=0,
        summary="A tier met an error that it does not know; its log has the traceback.",
    ),
)
RATE_LIMITED = _counter("kaireon_rate_limited_total", "Requests refused by a rate limit.", "route")
RATE_LIMIT_FALLBACK = _counter(
    "kaireon_rate_limit_fallback_total", "Rate limits counted in process because Redis did not answer."
)

# --- Decisions
DECISION_LATENCY = _latency_ms("kaireon_decision_latency_ms", "One decision, without HTTP.", "channel")
FLOW_LATENCY = _latency_ms(
    "kaireon_decision_flow_execution_latency_ms", "Deciding one group of requests, once it is loaded."
)
PIPELINE_DURATION = _latency_ms(
    "kaireon_decision_pipeline_duration_ms", "Load, decide and commit of one group of requests."
)
QUALIFICATION_LATENCY = _latency_ms(
    "kaireon_qualification_filter_latency_ms", "The qualification stage of one group of requests."
)
CONTACT_POLICY_LATENCY = _latency_ms(
    "kaireon_contact_policy_filter_latency_ms", "The contact policy stage of one group of requests."
)
SCORING_LATENCY = _latency_ms("kaireon_scoring_latency_ms", "The scoring stage of one group of requests.")
RANKING_LATENCY = _latency_ms("kaireon_ranking_latency_ms", "The ranking stage of one group of requests.")
DECISIONS = _counter("kaireon_decisions_total", "Decisions answered.", "outcome")
OFFERS_EVALUATED = _counter("kaireon_offers_evaluated_total", "Candidates that entered a flow.")
DECISION_DELIVERY = _counter("kaireon_decision_delivery_total", "Offers returned.")
DECISION_CONFLICTS = _counter(
    "kaireon_decision_conflicts_total", "Decisions made again because the customer changed before the commit."
)
COMMIT_GROUP_SIZE = Metric(
    name="kaireon_commit_group_size",
    kind=Kind.HISTOGRAM,
    unit="1",
    meaning="Requests answered by one transaction.",
    buckets=(1, 2, 4, 8, 16, 32, 64, 128),
)
SCORING_CANDIDATES = _counter(
    "kaireon_scoring_candidates_total", "Candidates that a flow's model was to score.", "modelKey"
)
SCORING_FALLBACK = _counter(
    "kaireon_scoring_fallback_total",
    "Candidates whose score stands in for one that their model did not give, by reason.",
    "modelKey",
    "reason",
    alert=Alert(
        expression=(
            "sum by (modelKey) (rate(kaireon_scoring_fallback_total[5m])) "
            "/ sum by (modelKey) (rate(kaireon_scoring_candidates_total[5m])) > 0.01"
        ),
        for_seconds=60,
        summary="More than one candidate in a hundred does not get its model's score: the model is offline.",
    ),
)
SHADOW_FALLBACK = _counter(
    "kaireon_shadow_fallback_total", "Candidates for which a shadow had no score.", "modelKey", "reason"
)
SCORING_MODEL_FAILURE = _counter(
    "kaireon_scoring_model_failure_total", "Failures of a model, which trip its breaker.", "modelKey"
)
BREAKER_CHANGES = _counter(
    "kaireon_circuit_breaker_state_change_total", "State changes of circuit breakers.", "name", "from", "to"
)
GUARDRAIL_EVALUATIONS = _counter("kaireon_guardrail_evaluation_total", "Guardrails evaluated.", "result")
MANDATORY_CAP_HITS = _counter("kaireon_mandatory_cap_hit_total", "Mandatory offers held back by their daily cap.")
CAP_VIOLATIONS = Metric(
    name="kaireon_cap_violations_total",
    kind=Kind.COUNTER,
    unit="1",
    meaning="Offers given to customers beyond a cap of a contact policy, found by a check of the answers.",
    labels=("ruleType",),
    is_stored=True,
)
CAP_CHECK_LAG = _gauge(
    "kaireon_cap_check_lag_seconds",
    "seconds",
    "For how long the answers that wait longest have waited to be checked against caps; five minutes is none.",
    alert=Alert(
        expression="max(kaireon_cap_check_lag_seconds) > 3600 or absent(kaireon_cap_check_lag_seconds)",
        for_seconds=900,
        summary="Nobody checks whether answers keep to caps.",
    ),
)
UNKNOWN_RULES = _counter(
    "kaireon_qualification_unknown_rule_total", "Rules of an unknown type, taken as not passed.", "ruleType"
)
EXPERIMENT_ASSIGNMENTS = _counter("kaireon_experiment_assignment_total", "Customers assigned to a variant.", "variant")
RESPONSES = _counter("kaireon_respond_outcome_total", "Responses recorded.", "outcomeType", "classification")

BEHAVIORAL_EVENTS = _counter(
    "kaireon_behavioral_events_total", "Behavioural events taken; `repeated` were known already.", "result"
)
REPLICA_READS = _counter("kaireon_replica_reads_total", "Reads that a replica may answer, by who did.", "server")
REPLICA_FALLBACKS = _counter(
    "kaireon_replica_fallbacks_total",
    "Reads that the primary answered because no replica could, by reason: lag, unreachable.",
    "reason",
    alert=Alert(
        expression="sum by (reason) (rate(kaireon_replica_fallbacks_total[5m])) > 0",
        for_seconds=300,
        summary="Dashboards and searches are read from the primary: no replica is reachable and near enough.",
    ),
)
REPLICA_LAG = _gauge(
    "kaireon_replica_lag_seconds", "seconds", "For how long at most something may be missing from a replica.", "replica"
)
STREAM_EVENTS = _counter(
    "kaireon_stream_events_total",
    "Records taken from inbound streams, by result: taken, dead.",
    "result",
    alert=Alert(
        expression='sum(rate(kaireon_stream_events_total{result="dead"}[5m])) > 0',
        for_seconds=300,
        summary="Records of inbound streams are no events: the dead letters of journey-jobs hold them.",
    ),
)
STREAM_LAG = _gauge(
    "kaireon_stream_lag_seconds",
    "seconds",
    "How old the newest record taken from a partition is, while others wait behind it.",
    "source",
    "partition",
    alert=Alert(
        expression="max(kaireon_stream_lag_seconds) > 60",
        for_seconds=300,
        summary="Inbound events are taken more slowly than they come: add partitions and replicas.",
    ),
)
TRIGGER_ACTIONS = _counter(
    "kaireon_trigger_actions_total",
    "Tries at what triggers do; a `failed` one is tried again.",
    "actionType",
    "result",
    alert=Alert(
        expression='sum by (actionType) (rate(kaireon_trigger_actions_total{result="failed"}[5m])) > 0',
        for_seconds=600,
        summary="What triggers do keeps failing: the firings of the trigger say why.",
    ),
)
JOURNEY_STEPS = _counter("kaireon_journey_steps_total", "Steps of journeys taken.", "nodeType")
JOURNEY_ENROLLMENTS_ENDED = _counter(
    "kaireon_journey_enrollments_ended_total",
    "Enrolments that are over.",
    "status",
    alert=Alert(
        expression='sum(rate(kaireon_journey_enrollments_ended_total{status="failed"}[5m])) > 0',
        for_seconds=300,
        summary="Enrolments end because their journey's steps fail: their reasons say why.",
    ),
)
SEARCH_FALLBACKS = _counter(
    "kaireon_search_fallbacks_total",
    "Searches that Postgres answered because OpenSearch did not.",
    alert=Alert(
        expression="rate(kaireon_search_fallbacks_total[5m]) > 0",
        for_seconds=300,
        summary="OpenSearch does not answer; searches go on in Postgres.",
    ),
)
CACHE_HITS = _counter("kaireon_cache_hits_total", "Reads answered by a cache.", "key")
CACHE_MISSES = _counter("kaireon_cache_misses_total", "Reads that a cache could not answer.", "key")
CACHE_ERRORS = _counter(
    "kaireon_cache_errors_total",
    "Cache calls that failed; the answer came from Postgres.",
    "key",
    alert=Alert(
        expression="sum(rate(kaireon_cache_errors_total[5m])) > 0",
        for_seconds=300,
        summary="Redis does not answer; decisions go on from Postgres, slower.",
    ),
)
SNAPSHOT_AGE = _gauge(
    "kaireon_snapshot_age_seconds", "seconds", "Time since the compiled configuration was last known to be current."
)

# --- Outbox
OUTBOX_RELAYED = _counter("kaireon_outbox_relayed_total", "Events acknowledged by the sink.", "type")
OUTBOX_FAILURES = _counter(
    "kaireon_outbox_failures_total",
    "Tries of an event that the sink refused.",
    "type",
    alert=Alert(
        expression="sum by (type) (rate(kaireon_outbox_failures_total[10m])) > 0",
        for_seconds=900,
        summary="The event bus keeps refusing single events; each becomes a dead letter after EVENT_MAX_TRIES.",
    ),
)
OUTBOX_DEAD_LETTERS = _counter(
    "kaireon_outbox_dead_letters_total",
    "Events moved to the dead-letter table.",
    "type",
    alert=Alert(
        expression="increase(kaireon_outbox_dead_letters_total[10m]) > 0",
        for_seconds=0,
        summary="An event cannot be relayed; see GET /api/v1/admin/dlq.",
    ),
)
OUTBOX_PENDING = _gauge("kaireon_outbox_pending_events", "1", "Events that wait to be relayed.")
OUTBOX_LAG = _gauge(
    "kaireon_outbox_lag_seconds",
    "seconds",
    "Age of the oldest event that waits to be relayed.",
    alert=Alert(
        expression="max(kaireon_outbox_lag_seconds) > 60 or absent(kaireon_outbox_lag_seconds)",
        for_seconds=300,
        summary="Events wait for more than a minute, or no publisher tells how long they wait.",
    ),
)
OUTBOX_SINK_UP = _gauge(
    "kaireon_outbox_sink_up",
    "1",
    "1 while the sink answers, else 0.",
    alert=Alert(
        expression="min(kaireon_outbox_sink_up) == 0",
        for_seconds=120,
        summary="A publisher cannot reach the event bus; events wait in Postgres, nothing is lost.",
    ),
)
DLQ_DEPTH = _gauge(
    "kaireon_dlq_depth",
    "1",
    "Dead letters of a tenant: events and jobs.",
    "tenant",
    alert=Alert(
        expression="max by (tenant) (kaireon_dlq_depth) > 100",
        for_seconds=0,
        summary="More than 100 dead letters wait for somebody to retry or purge them.",
    ),
)

# --- Interaction stores
INTERACTION_STORE_WRITES = _counter(
    "kaireon_interaction_store_writes_total",
    "Interactions for a store beside Postgres: written before the answer, deferred, repaired later, or refused.",
    "backend",
    "outcome",
    alert=Alert(
        expression='increase(kaireon_interaction_store_writes_total{outcome="refused"}[10m]) > 0',
        for_seconds=0,
        summary="A store refuses an interaction for itself; it is tried again every hour, and Postgres has it.",
    ),
)
INTERACTION_STORE_PENDING = _gauge(
    "kaireon_interaction_store_pending", "1", "Interactions that a store beside Postgres does not have yet."
)
INTERACTION_STORE_LAG = _gauge(
    "kaireon_interaction_store_lag_seconds",
    "seconds",
    "For how long the oldest of them should have been written.",
    alert=Alert(
        expression="max(kaireon_interaction_store_lag_seconds) > 60",
        for_seconds=300,
        summary="Interactions wait for their store for more than a minute: the store or the outbox publisher is down.",
    ),
)
INTERACTION_STORE_FALLBACKS = _counter(
    "kaireon_interaction_store_fallbacks_total",
    "Histories read from Postgres because their store did not answer.",
    "backend",
    alert=Alert(
        expression="sum(rate(kaireon_interaction_store_fallbacks_total[5m])) > 0",
        for_seconds=300,
        summary="The interaction store does not answer; histories are read from Postgres.",
    ),
)

# --- Jobs
JOBS_FINISHED = _counter("kaireon_jobs_finished_total", "Jobs that ended.", "queue", "type", "status")
JOB_ATTEMPTS = _counter("kaireon_job_attempts_total", "Attempts at jobs.", "queue", "type")
JOB_DURATION = Metric(
    name="kaireon_job_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit="seconds",
    meaning="One attempt at a job.",
    labels=("queue", "type"),
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600),
)
JOBS_WAITING = _gauge("kaireon_jobs_waiting", "1", "Jobs that are due and that no worker has.", "queue")
JOB_QUEUE_AGE = _gauge(
    "kaireon_job_queue_age_seconds", "seconds", "For how long the oldest of them has been due.", "queue"
)
JOB_LEASES_LOST = _counter("kaireon_job_leases_lost_total", "Attempts stopped because their lease had lapsed.", "queue")
CRON_RUNS = _counter(
    "kaireon_cron_runs_total",
    "Scheduled jobs that the API was asked to run, by outcome: succeeded, failed, skipped.",
    "job",
    "status",
)
TRAINING_DURATION = Metric(
    name="kaireon_training_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit="seconds",
    meaning="Training one model, by the worker or for it.",
    labels=("modelType",),
    buckets=(0.1, 0.5, 1, 5, 15, 60, 300, 900),
)

# --- Analyses
ANALYSES = _counter(
    "kaireon_analyses_total",
    "Analyses answered; a fallback reason says that a sample had to do for the ML worker's whole.",
    "kind",
    "engine",
    "fallbackReason",
)

# --- MCP
MCP_CALLS = _counter(
    "kaireon_mcp_calls_total",
    "Calls of tools by models: ok, preview, invalid, refused, limited or unavailable.",
    "tool",
    "result",
    alert=Alert(
        expression='sum(rate(kaireon_mcp_calls_total{result="unavailable"}[5m])) > 0',
        for_seconds=300,
        summary="The tools of the MCP tier cannot reach the API.",
    ),
)
MCP_CALL_DURATION = Metric(
    name="kaireon_mcp_call_duration_seconds",
    kind=Kind.HISTOGRAM,
    unit="seconds",
    meaning="One call of a tool, from its arguments to its answer.",
    labels=("tool",),
    buckets=_SECONDS,
)

CATALOGUE: tuple[Metric, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
