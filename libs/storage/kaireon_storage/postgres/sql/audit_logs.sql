-- name: lock_head^
-- Where the tenant's chain ends, until this transaction ends; the instant is the database's, so it never runs backwards.
INSERT INTO audit_heads (tenant_id, sequence, integrity_hash)
VALUES (:tenant_id, 0, :genesis)
ON CONFLICT (tenant_id) DO UPDATE SET sequence = audit_heads.sequence
RETURNING sequence, integrity_hash, clock_timestamp() AS logged_at;

-- name: append_rows!
-- Continue the chain; `rows` is a JSON array in the order of the chain.
WITH moved AS (
    UPDATE audit_heads
    SET sequence = :sequence, integrity_hash = :integrity_hash
    WHERE tenant_id = :tenant_id
)
INSERT INTO audit_logs (
    tenant_id, sequence, id, logged_at, action, entity_type, entity_id, entity_name, entity_version, changes, before,
    after, user_id, user_name, user_role, request_id, prev_hash, integrity_hash
)
SELECT
    :tenant_id, given.sequence, given.id, given.timestamp, given.action, given."entityType", given."entityId",
    given."entityName", given."entityVersion", given.changes, given.before, given.after, given."userId",
    given."userName", given."userRole", given."requestId", given."prevHash", given."integrityHash"
FROM json_to_recordset(:rows::json) AS given (
    sequence bigint, id uuid, timestamp timestamptz, action text, "entityType" text, "entityId" text,
    "entityName" text, "entityVersion" integer, changes json, before json, after json, "userId" text,
    "userName" text, "userRole" text, "requestId" text, "prevHash" text, "integrityHash" text
);

-- name: head^
-- Where the tenant's chain ends.
SELECT sequence, integrity_hash, trimmed_through, trimmed_hash
FROM audit_heads
WHERE tenant_id = :tenant_id;

-- name: page_rows
-- Rows that a query finds, newest first.
SELECT
    id, tenant_id, sequence, logged_at AS timestamp, action, entity_type, entity_id, entity_name, entity_version,
    changes, before, after, user_id, user_name, user_role, request_id, prev_hash, integrity_hash
FROM audit_logs
WHERE tenant_id = :tenant_id
    AND (:before::bigint IS NULL OR sequence < :before)
    AND (:entity_type::text IS NULL OR entity_type = :entity_type)
    AND (:entity_id::text IS NULL OR entity_id = :entity_id)
    AND (:action::text IS NULL OR action = :action)
    AND (:start_at::timestamptz IS NULL OR logged_at >= :start_at)
    AND (:end_at::timestamptz IS NULL OR logged_at < :end_at)
ORDER BY sequence DESC
LIMIT :limit OFFSET :offset;

-- name: count_rows^
-- How many rows a query finds on all pages.
SELECT count(*) AS total
FROM audit_logs
WHERE tenant_id = :tenant_id
    AND (:entity_type::text IS NULL OR entity_type = :entity_type)
    AND (:entity_id::text IS NULL OR entity_id = :entity_id)
    AND (:action::text IS NULL OR action = :action)
    AND (:start_at::timestamptz IS NULL OR logged_at >= :start_at)
    AND (:end_at::timestamptz IS NULL OR logged_at < :end_at);

-- name: span
-- Rows in the order of the chain.
SELECT
    id, tenant_id, sequence, logged_at AS timestamp, action, entity_type, entity_id, entity_name, entity_version,
    changes, before, after, user_id, user_name, user_role, request_id, prev_hash, integrity_hash
FROM audit_logs
WHERE tenant_id = :tenant_id AND sequence > :after AND sequence <= :through
ORDER BY sequence
LIMIT :limit;

-- name: first_misplaced^
-- The first row that does not follow the one before it in number, or that stands behind the end of the chain.
SELECT id
FROM (
    SELECT
        logs.id, logs.sequence,
        coalesce(lag(logs.sequence) OVER (ORDER BY logs.sequence), heads.trimmed_through, 0) AS previous,
        coalesce(heads.sequence, 0) AS last
    FROM audit_logs AS logs
    LEFT JOIN audit_heads AS heads ON heads.tenant_id = logs.tenant_id
    WHERE logs.tenant_id = :tenant_id
) AS numbered
WHERE sequence <> previous + 1 OR sequence > last
ORDER BY sequence
LIMIT 1;
