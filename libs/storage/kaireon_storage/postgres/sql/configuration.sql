-- name: tenant_configuration
-- The tenant's settings and the version of everything below; read first, so that a change meanwhile is seen later.
SELECT config_version, settings FROM tenants WHERE tenant_id = :tenant_id;

-- name: living_entities
-- Everything that the tenant configured and has not deleted.
SELECT id::text, kind, key, name, status, body, created_at, updated_at
FROM entities
WHERE tenant_id = :tenant_id AND deleted_at IS NULL
ORDER BY kind, created_at, id;

-- name: live_flow_versions
-- The newest version of each flow.
SELECT DISTINCT ON (flow_id) flow_id::text, version, config, published_at
FROM flow_versions
WHERE tenant_id = :tenant_id
ORDER BY flow_id, version DESC;

-- name: newest_model_versions
-- The newest trained version of each model.
SELECT DISTINCT ON (model_id) model_id::text, version, state
FROM model_versions
WHERE tenant_id = :tenant_id
ORDER BY model_id, version DESC;

-- name: config_versions
-- The current version of these tenants' configurations.
SELECT tenant_id::text, config_version FROM tenants WHERE tenant_id = ANY(:tenant_ids::uuid[]);

-- name: all_tenants
-- Every tenant there is.
SELECT tenant_id::text FROM tenants ORDER BY tenant_id;
