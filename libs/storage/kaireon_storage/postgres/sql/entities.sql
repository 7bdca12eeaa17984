-- name: raise_config_version!
-- Tell every process that the tenant's configuration changed; the row's lock puts its writers in line.
UPDATE tenants SET config_version = config_version + 1 WHERE tenant_id = :tenant_id;

-- name: find_entities
-- The living things of a kind that these ids or keys name.
SELECT id, kind, key, name, status, body, row_version, created_at, updated_at, deleted_at
FROM entities
WHERE tenant_id = :tenant_id AND kind = :kind AND deleted_at IS NULL
    AND (id = ANY(:ids::uuid[]) OR key = ANY(:keys::text[]));

-- name: child_entities
-- The living things of a kind whose body refers to one of these parents.
SELECT id, kind, key, name, status, body, row_version, created_at, updated_at, deleted_at
FROM entities
WHERE tenant_id = :tenant_id AND kind = :kind AND deleted_at IS NULL
    AND body ->> :field = ANY(:parents::text[])
ORDER BY created_at, id;

-- name: page_entities
-- One page of a kind: sorted by rank, then instant, then id, all descending, so that one comparison continues it.
SELECT id, kind, key, name, status, body, row_version, created_at, updated_at, deleted_at, sort_rank, sort_at
FROM (
    SELECT
        entities.*,
        CASE :order
            WHEN 'ordinal' THEN -(body ->> 'ordinal')::double precision
            WHEN 'priority' THEN (body ->> 'priority')::double precision
            WHEN 'status' THEN -array_position(ARRAY['active', 'draft', 'paused', 'archived'], status)
            ELSE 0
        END AS sort_rank,
        CASE :order WHEN 'status' THEN updated_at ELSE created_at END AS sort_at
    FROM entities
    WHERE tenant_id = :tenant_id AND kind = :kind
        AND (:include_deleted OR deleted_at IS NULL)
        AND (:status::text IS NULL OR status = :status)
        AND body @> :matching
) AS sorted
WHERE :after_id::uuid IS NULL
    OR (coalesce(sort_rank, 0), sort_at, id) < (:after_rank::double precision, :after_at::timestamptz, :after_id)
ORDER BY coalesce(sort_rank, 0) DESC, sort_at DESC, id DESC
LIMIT :limit;

-- name: count_entities^
-- How many things all pages of a list hold.
SELECT count(*) AS total
FROM entities
WHERE tenant_id = :tenant_id AND kind = :kind
    AND (:include_deleted OR deleted_at IS NULL)
    AND (:status::text IS NULL OR status = :status)
    AND body @> :matching;

-- name: taken_keys
-- The living keys that equal one of these stems, or one of them with a number behind it.
SELECT key
FROM entities
WHERE tenant_id = :tenant_id AND kind = :kind AND deleted_at IS NULL
    AND regexp_replace(key, '[-_][0-9]+$', '') = ANY(:stems::text[])
UNION
SELECT key
FROM entities
WHERE tenant_id = :tenant_id AND kind = :kind AND deleted_at IS NULL AND key = ANY(:stems::text[]);

-- name: admin_key^
-- Whether an API key of the tenant is an admin's and still holds.
SELECT id
FROM api_keys
WHERE tenant_id = :tenant_id AND id = :id AND role = 'admin' AND revoked_at IS NULL
    AND (expires_at IS NULL OR expires_at > now());

-- name: tallies
-- What has been counted of these things, ever and in the periods of the tenant's calendar that hold now; one row at least.
WITH clock AS (
    SELECT now() AS now, coalesce(settings ->> 'timezone', 'UTC') AS timezone FROM tenants WHERE tenant_id = :tenant_id
), current AS (
    SELECT now, timezone, to_char(now AT TIME ZONE timezone, '"D"YYYY-MM-DD') AS day,
        to_char(date_trunc('week', now AT TIME ZONE timezone), '"W"YYYY-MM-DD') AS week,
        to_char(date_trunc('month', now AT TIME ZONE timezone), '"M"YYYY-MM-DD') AS month
    FROM clock
)
SELECT current.now, current.timezone, tally.kind, tally.subject_id, tally.period, tally.amount
FROM current
LEFT JOIN tallies AS tally ON tally.tenant_id = :tenant_id AND tally.subject_id = ANY(:ids::uuid[])
    AND tally.period IN ('ever', current.day, current.week, current.month);

-- name: forget_tallies!
-- Begin to count anew what this thing's document says now.
DELETE FROM tallies WHERE tenant_id = :tenant_id AND subject_id = :id AND kind = ANY(:kinds::text[]);

-- name: insert_entities
-- Store new things of a kind; `drafts` is a JSON array of {id, key, name, status, body}. Each was created a
-- microsecond after the one before it, so that they are listed in their order.
INSERT INTO entities (tenant_id, kind, id, key, name, status, body, created_at)
SELECT
    :tenant_id, :kind, draft.id, draft.key, draft.name, draft.status, draft.body,
    now() + draft.place * interval '1 microsecond'
FROM ROWS FROM (
    jsonb_to_recordset(:drafts) AS (id uuid, key text, name text, status text, body jsonb)
) WITH ORDINALITY AS draft (id, key, name, status, body, place)
RETURNING id, kind, key, name, status, body, row_version, created_at, updated_at, deleted_at;

-- name: update_entity^
-- Replace a living thing if its row version is still the one that was read; answers what it was, too.
WITH previous AS (
    SELECT id, key, name, status, body
    FROM entities
    WHERE tenant_id = :tenant_id AND kind = :kind AND id = :id
)
UPDATE entities
SET key = :key, name = :name, status = :status, body = :body,
    row_version = row_version + 1, updated_at = now()
FROM previous
WHERE entities.tenant_id = :tenant_id AND entities.kind = :kind AND entities.id = :id
    AND previous.id = entities.id
    AND entities.row_version = :row_version AND entities.deleted_at IS NULL
RETURNING entities.id, entities.kind, entities.key, entities.name, entities.status, entities.body, entities.row_version,
    entities.created_at, entities.updated_at, entities.deleted_at,
    previous.key AS previous_key, previous.name AS previous_name, previous.status AS previous_status,
    previous.body AS previous_body;

-- name: delete_entities
-- Soft-delete things of a kind, and answer what they were.
UPDATE entities
SET deleted_at = now(), updated_at = now(), row_version = row_version + 1
WHERE tenant_id = :tenant_id AND kind = :kind AND id = ANY(:ids::uuid[]) AND deleted_at IS NULL
RETURNING id, kind, key, name, status, body, row_version, created_at, updated_at, deleted_at;
