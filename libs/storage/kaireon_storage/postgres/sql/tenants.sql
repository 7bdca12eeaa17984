-- name: add_tenant!
-- Store a tenant, unless its key is taken.
INSERT INTO tenants (tenant_id, key, name)
VALUES (:tenant_id, :key, :name)
ON CONFLICT (key) DO NOTHING;

-- name: find_tenant^
-- The tenant that an id or a key names.
SELECT tenant_id, key, name
FROM tenants
WHERE tenant_id = :tenant_id::uuid OR key = :key;

-- name: config_versions
-- Every tenant's configuration version.
SELECT tenant_id, config_version
FROM tenants;

-- name: read_settings^
-- What a tenant has set.
SELECT settings
FROM tenants
WHERE tenant_id = :tenant_id;

-- name: lock_settings^
-- What a tenant has set, until the end of this transaction.
SELECT settings, key
FROM tenants
WHERE tenant_id = :tenant_id
FOR UPDATE;

-- name: change_settings!
-- Replace what a tenant has set and tell every process.
UPDATE tenants
SET settings = :settings, config_version = config_version + 1
WHERE tenant_id = :tenant_id;
