-- name: add_api_key!
-- Store a key by its hash.
INSERT INTO api_keys (tenant_id, id, name, role, key_hash, prefix, scopes, expires_at, created_at)
VALUES (:tenant_id, :id, :name, :role, :key_hash, :prefix, :scopes, :expires_at, :created_at);

-- name: page_api_keys
-- The keys that are not revoked, newest first, from one of them on.
SELECT id, name, role, prefix, scopes, expires_at, last_used_at, created_at
FROM api_keys
WHERE tenant_id = :tenant_id AND revoked_at IS NULL
    AND (
        :after::uuid IS NULL
        OR (created_at, id) < (
            SELECT earlier.created_at, earlier.id
            FROM api_keys AS earlier
            WHERE earlier.tenant_id = :tenant_id AND earlier.id = :after::uuid
        )
    )
ORDER BY created_at DESC, id DESC
LIMIT :limit;

-- name: count_api_keys^
-- How many keys of the tenant are not revoked.
SELECT count(*) AS total
FROM api_keys
WHERE tenant_id = :tenant_id AND revoked_at IS NULL;

-- name: revoke_api_key^
-- End a key that still holds, and answer what it was.
UPDATE api_keys
SET revoked_at = now(), revoked_reason = :reason
WHERE tenant_id = :tenant_id AND id = :id AND revoked_at IS NULL
RETURNING id, name, role, prefix, scopes, expires_at, last_used_at, created_at;

-- name: find_credentials
-- Who these keys stand for, of all tenants, if they hold: the tenant is what this finds out.
SELECT
    api_keys.id AS key_id,
    api_keys.key_hash,
    api_keys.name AS key_name,
    api_keys.role,
    cardinality(api_keys.scopes) > 0 AS is_restricted,
    tenants.tenant_id,
    tenants.key AS tenant_key
FROM api_keys
INNER JOIN tenants ON api_keys.tenant_id = tenants.tenant_id
WHERE api_keys.key_hash = ANY(:key_hashes::bytea[])
    AND api_keys.revoked_at IS NULL
    AND (api_keys.expires_at IS NULL OR api_keys.expires_at > now());

-- name: note_use!
-- Remember to the minute when keys of any tenant were last used; a key that somebody else is writing waits for its turn.
UPDATE api_keys
SET last_used_at = now()
WHERE id IN (
    SELECT used.id
    FROM api_keys AS used
    WHERE used.key_hash = ANY(:key_hashes::bytea[])
        AND (used.last_used_at IS NULL OR used.last_used_at < now() - interval '1 minute')
    FOR UPDATE SKIP LOCKED
);
