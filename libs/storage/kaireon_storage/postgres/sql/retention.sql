-- name: allow_long_statement^
-- A scan for what is old may take minutes; nobody waits for it.
SELECT set_config('statement_timeout', '10min', true);

-- name: read_tenant_retentions
-- Every tenant, or one, with the days it keeps its history, null where it has not said, and what it has set by class.
SELECT tenant_id,
    CASE WHEN jsonb_typeof(settings -> 'retentionDays') = 'number'
        THEN (settings ->> 'retentionDays')::numeric END AS days,
    ARRAY(
        SELECT to_jsonb(config) - 'updated_at' - 'tenant_id' FROM retention_configs AS config
        WHERE config.tenant_id = tenants.tenant_id
    ) AS configs
FROM tenants
WHERE tenant_id = coalesce(:tenant_id::uuid, tenant_id)
ORDER BY tenant_id;

-- name: read_configs
-- What a tenant has set by class.
SELECT data_class, retention_days, legal_hold, updated_at
FROM retention_configs
WHERE tenant_id = :tenant_id;

-- name: upsert_config^
-- Set the days and the hold of a class, each only where it is given; answers what it was, too.
WITH previous AS (
    SELECT retention_days, legal_hold FROM retention_configs
    WHERE tenant_id = :tenant_id AND data_class = :data_class
), stored AS (
    INSERT INTO retention_configs AS config (tenant_id, data_class, retention_days, legal_hold)
    VALUES (:tenant_id, :data_class, :retention_days, coalesce(:legal_hold::boolean, false))
    ON CONFLICT (tenant_id, data_class) DO UPDATE
        SET retention_days = CASE WHEN :is_days_given THEN excluded.retention_days ELSE config.retention_days END,
            legal_hold = coalesce(:legal_hold::boolean, config.legal_hold), updated_at = now()
    RETURNING retention_days, legal_hold
)
SELECT stored.retention_days, stored.legal_hold, previous.retention_days AS previous_days,
    previous.legal_hold AS previous_hold
FROM stored LEFT JOIN previous ON true;

-- name: ensure_partitions^
-- Create the monthly partitions that are missing.
SELECT kaireon_ensure_partitions(:first_at, :last_at) AS created;

-- name: drop_partitions^
-- Drop monthly partitions of a table that ended before then.
SELECT kaireon_drop_months(:parent, :before) AS dropped;

-- name: trim_audit^
-- Cut off the beginning of a tenant's audit log.
SELECT kaireon_trim_audit(:tenant_id, :before) AS deleted;

-- name: delete_decision_logs!
-- A tenant's uploaded decision logs from before then, with their parts.
DELETE FROM decision_logs WHERE tenant_id = :tenant_id AND created_at < :before;

-- name: delete_evaluations!
-- What evaluations of policies came to before then.
DELETE FROM off_policy_evaluations WHERE tenant_id = :tenant_id AND created_at < :before;

-- name: delete_learned_sums!
-- What models had learned before their state was last written, where that was before then; and of models that are gone.
DELETE FROM learned_sums AS learned
WHERE learned.tenant_id = :tenant_id
    AND NOT EXISTS (
        SELECT FROM entities AS model
        WHERE model.tenant_id = :tenant_id AND model.kind = 'algorithm_model' AND model.id = learned.model_id
            AND (coalesce(model.deleted_at, model.updated_at) >= :before
                OR (model.deleted_at IS NULL
                    AND learned.generation >= coalesce((model.body ->> 'learningGeneration')::integer, 0))));

-- name: delete_learned_weights!
-- The same of the models whose lessons are no sums.
DELETE FROM learned_weights AS learned
WHERE learned.tenant_id = :tenant_id
    AND NOT EXISTS (
        SELECT FROM entities AS model
        WHERE model.tenant_id = :tenant_id AND model.kind = 'algorithm_model' AND model.id = learned.model_id
            AND (coalesce(model.deleted_at, model.updated_at) >= :before
                OR (model.deleted_at IS NULL
                    AND learned.generation >= coalesce((model.body ->> 'learningGeneration')::integer, 0))));

-- name: delete_graphs!
-- Imported graphs from before then that no model refers to, as when the model could not be stored after its graph.
DELETE FROM model_graph_parts AS part
WHERE part.tenant_id = :tenant_id AND part.created_at < :before
    AND NOT EXISTS (
        SELECT FROM entities AS model
        WHERE model.tenant_id = :tenant_id AND model.kind = 'algorithm_model'
            AND model.body -> 'modelState' ->> 'bytesHashSha256' = part.hash)
    AND NOT EXISTS (
        SELECT FROM model_versions AS version
        WHERE version.tenant_id = :tenant_id AND version.state ->> 'bytesHashSha256' = part.hash);

-- name: delete_exports!
-- Exports about customers from before then.
DELETE FROM dsar_exports WHERE tenant_id = :tenant_id AND created_at < :before;

-- name: delete_erased_decisions!
-- The ids of erased decisions, once nobody could ask for the decision any more anyway.
DELETE FROM erased_decisions WHERE tenant_id = :tenant_id AND erased_at < :before;

-- name: delete_interactions!
-- One chunk of a tenant's interactions from before then.
DELETE FROM interactions
WHERE tenant_id = :tenant_id AND occurred_at < :before
    AND (tenant_id, occurred_at, id) IN (
        SELECT tenant_id, occurred_at, id FROM interactions
        WHERE tenant_id = :tenant_id AND occurred_at < :before
        LIMIT :chunk);

-- name: delete_enrollments!
-- One chunk of a tenant's enrolments that were over before then, with their steps.
DELETE FROM journey_enrollments
WHERE tenant_id = :tenant_id AND id IN (
    SELECT id FROM journey_enrollments WHERE tenant_id = :tenant_id AND ended_at < :before LIMIT :chunk);

-- name: delete_firings!
-- One chunk of the firings of a tenant's triggers from before then.
DELETE FROM trigger_firings
WHERE tenant_id = :tenant_id AND id IN (
    SELECT id FROM trigger_firings WHERE tenant_id = :tenant_id AND fired_at < :before LIMIT :chunk);

-- name: delete_journey_jobs!
-- One chunk of a tenant's jobs of journeys and triggers that were over before then; the dead stay in their list.
DELETE FROM jobs
WHERE tenant_id = :tenant_id AND id IN (
    SELECT id FROM jobs
    WHERE tenant_id = :tenant_id AND queue = 'journey-jobs' AND finished_at < :before
        AND status IN ('completed', 'failed', 'cancelled')
    LIMIT :chunk);

-- name: delete_traces!
-- One chunk of a tenant's decision traces from before then.
DELETE FROM decision_traces
WHERE tenant_id = :tenant_id AND decided_at < :before
    AND (tenant_id, decided_at, recommendation_id) IN (
        SELECT tenant_id, decided_at, recommendation_id FROM decision_traces
        WHERE tenant_id = :tenant_id AND decided_at < :before
        LIMIT :chunk);

-- name: delete_daily_summaries!
-- One chunk of a tenant's daily summaries of days before that one; totals over all time stay.
DELETE FROM interaction_summaries
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM interaction_summaries
    WHERE tenant_id = :tenant_id AND period_type = 'daily' AND period_key < :before_day
    LIMIT :chunk))
    AND tenant_id = :tenant_id;

-- name: delete_dashboard_counts!
-- What dashboards show of a tenant's days before that one.
DELETE FROM dashboard_counts WHERE tenant_id = :tenant_id AND day < :before::date;

-- name: delete_dashboard_sketches!
-- Who was there on these days.
DELETE FROM dashboard_sketches WHERE tenant_id = :tenant_id AND day < :before::date;

-- name: delete_snapshots!
-- A tenant's snapshots and legends that no trace refers to; young ones may be about to get their first trace.
DELETE FROM snapshots AS stored
WHERE stored.tenant_id = :tenant_id AND stored.created_at < :before
    AND NOT EXISTS (
        SELECT FROM decision_traces AS trace
        WHERE trace.tenant_id = :tenant_id AND trace.legend_hash = stored.hash)
    AND NOT EXISTS (
        SELECT FROM decision_traces AS trace
        WHERE trace.tenant_id = :tenant_id AND trace.snapshot_hash = stored.hash);

-- name: delete_runs!
-- A tenant's batch runs from before then that are over, with their customers and results.
DELETE FROM decision_runs AS run
WHERE run.tenant_id = :tenant_id AND run.created_at < :before
    AND NOT EXISTS (
        SELECT FROM jobs
        WHERE jobs.tenant_id = run.tenant_id AND jobs.id = run.id AND jobs.status IN ('queued', 'running'));

-- name: delete_suppressions!
-- One chunk of the suppressions of all tenants that have ended.
DELETE FROM suppressions
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM suppressions
    WHERE expires_at < :before
        AND NOT EXISTS (
            SELECT FROM retention_configs AS config
            WHERE config.tenant_id = suppressions.tenant_id AND config.data_class = 'interactions'
                AND config.legal_hold)
    LIMIT :chunk))
    AND expires_at < :before;

-- name: delete_assignments!
-- One chunk of the variants of all tenants whose time is over.
DELETE FROM variant_assignments
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM variant_assignments
    WHERE expires_at < :before
        AND NOT EXISTS (
            SELECT FROM retention_configs AS config
            WHERE config.tenant_id = variant_assignments.tenant_id AND config.data_class = 'interactions'
                AND config.legal_hold)
    LIMIT :chunk))
    AND expires_at < :before;

-- name: delete_tenant_assignments!
-- One chunk of the variants of a tenant whose time is over.
DELETE FROM variant_assignments
WHERE tenant_id = :tenant_id AND expires_at < :before
    AND ctid = ANY(ARRAY(
        SELECT ctid FROM variant_assignments WHERE tenant_id = :tenant_id AND expires_at < :before LIMIT :chunk));

-- name: delete_cooldowns!
-- One chunk of what keeps triggers of all tenants from firing again, where they may; a trigger that is gone has no say.
DELETE FROM trigger_cooldowns
WHERE ctid = ANY(ARRAY(
    SELECT cooldown.ctid FROM trigger_cooldowns AS cooldown
    LEFT JOIN entities AS trigger
        ON trigger.tenant_id = cooldown.tenant_id AND trigger.kind = 'trigger' AND trigger.id = cooldown.trigger_id
    WHERE cooldown.fired_at + make_interval(
            secs => coalesce((trigger.body ->> 'cooldownMs')::float8, 0) / 1000) < :before
        AND NOT EXISTS (
            SELECT FROM retention_configs AS config
            WHERE config.tenant_id = cooldown.tenant_id AND config.data_class = 'interactions'
                AND config.legal_hold)
    LIMIT :chunk))
    AND fired_at < :before;

-- name: delete_tallies!
-- One chunk of what all tenants counted in days, weeks and months that are over: no period is longer than 31 days.
DELETE FROM tallies
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM tallies
    WHERE period <> 'ever' AND updated_at < :before::timestamptz - interval '62 days' LIMIT :chunk))
    AND updated_at < :before::timestamptz - interval '62 days';

-- name: delete_idempotency_keys!
-- One chunk of the idempotency keys of all tenants from before then.
DELETE FROM idempotency_keys
WHERE ctid = ANY(ARRAY(SELECT ctid FROM idempotency_keys WHERE created_at < :before LIMIT :chunk));

-- name: delete_sent_events!
-- One chunk of the events of all tenants that were sent before then.
DELETE FROM outbox_events
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM outbox_events WHERE status = 'sent' AND sent_at < :before LIMIT :chunk))
    AND status = 'sent';

-- name: delete_unsent_events!
-- One chunk of the events of all tenants from before then that nobody has relayed, where nobody does.
DELETE FROM outbox_events
WHERE ctid = ANY(ARRAY(
    SELECT ctid FROM outbox_events WHERE status <> 'sent' AND created_at < :before LIMIT :chunk))
    AND status <> 'sent';
