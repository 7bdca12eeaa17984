-- Counting what dashboards show: see `0029.dashboard_counts`.

-- name: allow_long_statement^
-- A slice of a busy tenant takes a second; a machine that has other things to do may take a minute.
SELECT set_config('statement_timeout', '60s', true);

-- name: horizon^
-- An instant before which every row is written by now, but for those under way or marked as late; whoever is under way has
-- a lower number than this transaction.
SELECT clock_timestamp() - interval '60 seconds' AS at, pg_current_xact_id()::text AS transaction;

-- name: is_settled^
-- Whether whoever was under way then has ended.
SELECT pg_snapshot_xmin(pg_current_snapshot()) >= :transaction::xid8 AS is_settled;

-- name: begin!
-- Begin with what dashboards can still show of a tenant, unless it was begun.
INSERT INTO dashboard_progress (tenant_id, counted_to)
SELECT tenant_id, date_trunc('day', now(), timezone) - interval '91 days'
FROM (
    SELECT tenant_id, coalesce(settings ->> 'timezone', 'UTC') AS timezone FROM tenants WHERE tenant_id = :tenant_id
) AS tenant
ON CONFLICT (tenant_id) DO NOTHING;

-- name: hold^
-- Keep others from counting, or from taking anything out, until the transaction ends.
SELECT counted_to FROM dashboard_progress WHERE tenant_id = :tenant_id FOR UPDATE;

-- name: hold_if_free^
-- The same, nothing where somebody else is at it.
SELECT progress.counted_to, coalesce(tenant.settings ->> 'timezone', 'UTC') AS timezone
FROM dashboard_progress AS progress
JOIN tenants AS tenant USING (tenant_id)
WHERE progress.tenant_id = :tenant_id
FOR UPDATE OF progress SKIP LOCKED;

-- name: next_slice^
-- Up to where to count: about so many rows of each kind, and as many late ones, the oldest first.
SELECT
    greatest(:counted_to::timestamptz, least(
        :settled_at::timestamptz,
        (
            SELECT greatest(occurred_at, :counted_to::timestamptz + interval '1 second')
            FROM interactions
            WHERE tenant_id = :tenant_id AND occurred_at >= :counted_to AND occurred_at < :settled_at
            ORDER BY occurred_at OFFSET :most LIMIT 1
        ),
        (
            SELECT greatest(decided_at, :counted_to::timestamptz + interval '1 second')
            FROM decision_traces
            WHERE tenant_id = :tenant_id AND decided_at >= :counted_to AND decided_at < :settled_at
            ORDER BY decided_at OFFSET :most LIMIT 1
        )
    )) AS to_at,
    least(
        :counted_to::timestamptz,
        (
            SELECT at + interval '1 microsecond'
            FROM late_rows
            WHERE tenant_id = :tenant_id AND at < :counted_to
            ORDER BY at OFFSET :most LIMIT 1
        )
    ) AS late_to;

-- name: count_slice!
-- Count the rows of a slice of time and the late ones before it, in one statement: each row once, whoever writes meanwhile.
WITH found AS MATERIALIZED (
    SELECT * FROM kaireon_facts(:tenant_id, :timezone, '-infinity', :late_to, :counted_to, :to_at)
), counted AS (
    INSERT INTO dashboard_counts AS kept (
        tenant_id, day, fact, offer_id, creative_id, channel_id, outcome_key, classification, count, amount, ranks
    )
    SELECT
        :tenant_id::uuid, day, fact,
        coalesce(offer_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(creative_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(channel_id, '00000000-0000-0000-0000-000000000000'),
        outcome_key, classification, count(*), sum(amount), sum(rank)
    FROM found
    GROUP BY day, fact, offer_id, creative_id, channel_id, outcome_key, classification
    ON CONFLICT (tenant_id, fact, day, offer_id, creative_id, channel_id, outcome_key, classification) DO UPDATE
        SET count = kept.count + excluded.count, amount = kept.amount + excluded.amount,
            ranks = kept.ranks + excluded.ranks
), seen AS (
    SELECT DISTINCT day, fact, hashtextextended(customer_id, 0) AS hash FROM found WHERE fact <> 'selection'
), merged AS (
    SELECT seen.day, seen.fact, seen.hash, sketch.bound
    FROM seen LEFT JOIN dashboard_sketches AS sketch
        ON sketch.tenant_id = :tenant_id AND sketch.day = seen.day AND sketch.fact = seen.fact
    WHERE sketch.bound IS NULL OR seen.hash < sketch.bound
    UNION
    SELECT sketch.day, sketch.fact, unnest(sketch.hashes), sketch.bound
    FROM dashboard_sketches AS sketch
    WHERE sketch.tenant_id = :tenant_id AND (sketch.day, sketch.fact) IN (SELECT day, fact FROM seen)
), placed AS (
    SELECT merged.*, row_number() OVER (PARTITION BY day, fact ORDER BY hash) AS place FROM merged
), sketched AS (
    INSERT INTO dashboard_sketches AS sketch (tenant_id, day, fact, bound, hashes)
    SELECT
        :tenant_id::uuid, day, fact, coalesce(min(hash) FILTER (WHERE place > :hash_count), min(bound)),
        array_agg(hash ORDER BY hash) FILTER (WHERE place <= :hash_count)
    FROM placed
    GROUP BY day, fact
    ON CONFLICT (tenant_id, fact, day) DO UPDATE SET bound = excluded.bound, hashes = excluded.hashes
), done AS (
    DELETE FROM late_rows
    WHERE tenant_id = :tenant_id AND (at < :late_to OR (at >= :counted_to AND at < :to_at))
)
UPDATE dashboard_progress SET counted_to = :to_at WHERE tenant_id = :tenant_id;
