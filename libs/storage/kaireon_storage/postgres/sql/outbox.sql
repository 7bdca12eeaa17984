-- The publisher and its operators work across tenants, as kaireon_system: ids are unique over all of them.

-- name: claim_lanes
-- Lock some free lanes that have pending events, in random order, so that no lane starves behind a stuck one. A publisher
-- that stops while it holds lanes loses them after :idle_timeout, from the moment it has them: set by this statement.
-- Without compiling: the planner takes the queues of a claim for many more than they are.
SELECT free.lane, set_config('idle_in_transaction_session_timeout', :idle_timeout, true), set_config('jit', 'off', true)
FROM outbox_lanes AS free
WHERE EXISTS (SELECT FROM outbox_events AS event WHERE event.lane = free.lane AND event.status = 'pending')
ORDER BY random()
LIMIT :lane_limit
FOR UPDATE OF free SKIP LOCKED;

-- name: resume_login_role^
-- Nobody else may see and end the sessions of the login.
SELECT set_config('role', 'none', true);

-- name: end_stuck_claims
-- A session whose publisher stopped half way through a message is not idle: no time-out of Postgres ends it.
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE datname = current_database() AND application_name = current_setting('application_name')
    AND pid <> pg_backend_pid() AND xact_start < clock_timestamp() - :oldest::interval;

-- name: read_pending
-- The oldest pending events of the lanes, as many of each tenant, until they are :event_limit or their payloads reach
-- :total_bytes. has_more: the tenant may have more in this lane.
WITH RECURSIVE queues AS (
    -- The tenants of each lane, found one after the other in the index.
    SELECT claimed.lane, head.tenant_id
    FROM unnest(:lanes::smallint[]) AS claimed (lane)
    CROSS JOIN LATERAL (
        SELECT event.tenant_id FROM outbox_events AS event
        WHERE event.lane = claimed.lane AND event.status = 'pending'
        ORDER BY event.tenant_id
        LIMIT 1
    ) AS head
    UNION ALL
    SELECT queues.lane, head.tenant_id
    FROM queues
    CROSS JOIN LATERAL (
        SELECT event.tenant_id FROM outbox_events AS event
        WHERE event.lane = queues.lane AND event.status = 'pending' AND event.tenant_id > queues.tenant_id
        ORDER BY event.tenant_id
        LIMIT 1
    ) AS head
), share AS (
    SELECT greatest(1, :event_limit / greatest(1, count(*))) AS events FROM queues
), chosen AS (
    SELECT event.*, octet_length(event.content) AS size_bytes
    FROM queues
    CROSS JOIN LATERAL (
        SELECT pending.lane, pending.id, pending.tenant_id, pending.type, pending.key, pending.attempts, pending.created_at,
            pending.traceparent, pending.position, pending.payload::text AS content, row_number() OVER (ORDER BY pending.position) AS turn
        FROM outbox_events AS pending
        WHERE pending.lane = queues.lane AND pending.tenant_id = queues.tenant_id AND pending.status = 'pending'
        ORDER BY pending.position
        LIMIT (SELECT events FROM share)
    ) AS event
    -- Where there are more tenants than events to take, chance decides who is next.
    ORDER BY event.turn, random()
    LIMIT :event_limit
)
SELECT id, tenant_id, type, key, attempts, created_at, traceparent, size_bytes,
    CASE WHEN size_bytes <= :event_bytes THEN content END AS payload,
    turn = (SELECT events FROM share) AS has_more
FROM (
    SELECT chosen.*, sum(least(size_bytes, :event_bytes)) OVER (ORDER BY turn, position)
        - least(size_bytes, :event_bytes) AS bytes_before
    FROM chosen
) AS claimable
WHERE bytes_before < :total_bytes
ORDER BY position;

-- name: mark_sent!
-- The sink has acknowledged these events.
UPDATE outbox_events SET status = 'sent', sent_at = clock_timestamp(), last_error = NULL
WHERE id = ANY(:ids::uuid[]) AND status = 'pending';

-- name: mark_refused!
-- The sink has refused these events, each for itself; they stay pending.
UPDATE outbox_events AS event SET attempts = event.attempts + 1, last_error = refused.reason
FROM unnest(:ids::uuid[], :reasons::text[]) AS refused (id, reason)
WHERE event.id = refused.id AND event.status = 'pending';

-- name: bury!
-- Move events to the dead letters, each with its reason.
WITH refused AS (
    SELECT * FROM unnest(:ids::uuid[], :reasons::text[]) AS refused (id, reason)
), gone AS (
    DELETE FROM outbox_events AS event USING refused
    WHERE event.id = refused.id AND event.status = 'pending'
    RETURNING event.id, event.tenant_id, event.type, event.key, event.payload, refused.reason,
        event.attempts + 1 AS attempts, event.created_at
)
INSERT INTO outbox_dead_letters (id, tenant_id, type, key, payload, error, attempts, created_at)
SELECT id, tenant_id, type, key, payload, reason, attempts, created_at FROM gone
ON CONFLICT (id) DO UPDATE
SET tenant_id = excluded.tenant_id, type = excluded.type, key = excluded.key, payload = excluded.payload,
    error = excluded.error, attempts = excluded.attempts, created_at = excluded.created_at, failed_at = now();

-- name: measure_backlog^
-- How many events wait, counted up to :bound, and since when.
WITH RECURSIVE queues AS (
    -- The tenants of each lane, and the oldest event of each.
    SELECT lanes.lane, head.tenant_id, head.created_at
    FROM outbox_lanes AS lanes
    CROSS JOIN LATERAL (
        SELECT event.tenant_id, event.created_at FROM outbox_events AS event
        WHERE event.lane = lanes.lane AND event.status = 'pending'
        ORDER BY event.tenant_id, event.position
        LIMIT 1
    ) AS head
    UNION ALL
    SELECT queues.lane, head.tenant_id, head.created_at
    FROM queues
    CROSS JOIN LATERAL (
        SELECT event.tenant_id, event.created_at FROM outbox_events AS event
        WHERE event.lane = queues.lane AND event.status = 'pending' AND event.tenant_id > queues.tenant_id
        ORDER BY event.tenant_id, event.position
        LIMIT 1
    ) AS head
)
SELECT
    (SELECT count(*) FROM (
        SELECT FROM outbox_events AS event WHERE event.status = 'pending' LIMIT :bound
    ) AS bounded) AS events,
    (SELECT min(created_at) FROM queues) AS oldest_at;

-- name: allow_long_statement^
-- One statement over everything that was sent in a day may take minutes.
SELECT set_config('statement_timeout', '30min', true);

-- name: republish_since!
-- Everything sent since then is pending again; positions, and so the order, are kept.
UPDATE outbox_events SET status = 'pending', attempts = 0, last_error = NULL, sent_at = NULL
WHERE status = 'sent' AND sent_at >= :since;

-- name: release_stuck!
-- Free events that somebody marked as being processed and left.
UPDATE outbox_events SET status = 'pending'
WHERE status = 'processing' AND created_at < :created_before;

-- name: notify_publishers^
-- Tell listening publishers that there may be pending events.
SELECT pg_notify(:channel, '');
