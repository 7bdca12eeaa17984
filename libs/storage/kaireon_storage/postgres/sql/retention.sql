-- name: allow_long_statement^
-- A scan for what is old may take minutes; nobody waits for it.
SELECT set_config('statement_timeout', '10min', true);

-- name: read_tenant_retentions
-- Every tenant with the days it keeps its history, null where it has not said.
SELECT tenant_id,
    CASE WHEN jsonb_typeof(settings -> 'retentionDays') = 'number'
        THEN (settings ->> 'retentionDays')::numeric END AS days
FROM tenants
ORDER BY tenant_id;

-- name: ensure_partitions^
-- Create the monthly partitions that are missing.
SELECT kaireon_ensure_partitions(:first_at, :last_at) AS created;

-- name: drop_partitions^
-- Drop monthly partitions that ended before then.
SELECT kaireon_drop_partitions(:before) AS dropped;

-- name: delete_interactions!
-- One chunk of a tenant's interactions from before then.
DELETE FROM interactions
WHERE tenant_id = :tenant_id AND occurred_at < :before
    AND (tenant_id, occurred_at, id) IN (
        SELECT tenant_id, occurred_at, id FROM interactions
        WHERE tenant_id = :tenant_id AND occurred_at < :before
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
WHERE ctid = ANY(ARRAY(SELECT ctid FROM suppressions WHERE expires_at < :before LIMIT :chunk));

-- name: delete_assignments!
-- One chunk of the variants of all tenants whose time is over.
DELETE FROM variant_assignments
WHERE ctid = ANY(ARRAY(SELECT ctid FROM variant_assignments WHERE expires_at < :before LIMIT :chunk))
    AND expires_at < :before;

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
