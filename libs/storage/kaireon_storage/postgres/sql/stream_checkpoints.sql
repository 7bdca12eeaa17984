-- name: lease
-- Take the partitions that nobody holds, and hold on to one's own; return where each stands. System role.
INSERT INTO stream_checkpoints AS checkpoint (source, partition, lease_token, leased_until)
SELECT :source, given.partition, :token, clock_timestamp() + make_interval(secs => :lease_seconds)
FROM unnest(:partitions::text[]) AS given (partition)
ORDER BY given.partition
ON CONFLICT (source, partition) DO UPDATE
    SET lease_token = excluded.lease_token, leased_until = excluded.leased_until
    WHERE checkpoint.lease_token = excluded.lease_token OR checkpoint.leased_until IS NULL
        OR kaireon_has_come(checkpoint.leased_until)
RETURNING partition, position;

-- name: release!
-- Let go of every partition that one holds. System role.
UPDATE stream_checkpoints SET lease_token = NULL, leased_until = NULL WHERE source = :source AND lease_token = :token;

-- name: advance^
-- Move a checkpoint of one's own on from where it was; no row when somebody else holds it or has moved it.
UPDATE stream_checkpoints SET position = :position, updated_at = now()
WHERE source = :source AND partition = :partition AND lease_token = :token
    AND position IS NOT DISTINCT FROM :previous
RETURNING partition;

-- name: bury!
-- Keep an event that cannot be taken: a dead job of the tenant it names, else of the oldest tenant. System role.
INSERT INTO jobs (tenant_id, id, queue, type, payload, status, attempts, error, finished_at)
SELECT
    tenants.tenant_id, :id, 'journey-jobs', 'stream_event', :payload, 'dead', 1,
    jsonb_build_object('code', 'malformed_event', 'message', :reason::text), clock_timestamp()
FROM tenants
ORDER BY tenants.tenant_id = :tenant_id::uuid DESC NULLS LAST, tenants.created_at, tenants.tenant_id
LIMIT 1;
