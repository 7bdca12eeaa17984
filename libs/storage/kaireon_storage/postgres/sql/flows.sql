-- name: add_version^
-- Store the next version of a flow; its writers stand in line behind the tenant's config_version.
INSERT INTO flow_versions (tenant_id, flow_id, version, config, notes)
SELECT :tenant_id, :flow_id, coalesce(max(version), 0) + 1, :config, :notes
FROM flow_versions
WHERE tenant_id = :tenant_id AND flow_id = :flow_id
RETURNING version, config, notes, published_at;

-- name: list_versions
-- Every version of a flow, newest first.
SELECT version, config, notes, published_at
FROM flow_versions
WHERE tenant_id = :tenant_id AND flow_id = :flow_id
ORDER BY version DESC;

-- name: get_version^
-- One published version of a flow.
SELECT config
FROM flow_versions
WHERE tenant_id = :tenant_id AND flow_id = :flow_id AND version = :version;

-- name: live_versions
-- The newest version of every published flow, with the flow's key and status.
SELECT DISTINCT ON (version.flow_id) flow.key, flow.status, version.config
FROM flow_versions AS version
JOIN entities AS flow ON flow.tenant_id = version.tenant_id AND flow.id = version.flow_id
WHERE version.tenant_id = :tenant_id AND flow.deleted_at IS NULL
ORDER BY version.flow_id ASC, version.version DESC;
