-- name: bound_statement^
-- A search that takes longer is given up.
SELECT set_config('statement_timeout', '2s', true);

-- name: find_words
-- What has words that begin like all of these; a key that is what was asked for stands first.
SELECT entity.kind, entity.id, entity.key, entity.name, entity.status, entity.body ->> 'description' AS description,
    entity.updated_at,
    ts_rank(entity.words, asked.prefixes)::double precision
    + CASE WHEN kaireon_words(entity.key) = :written OR kaireon_words(entity.name) = :written THEN 2 ELSE 0 END
    AS score,
    count(*) OVER () AS total
FROM (SELECT to_tsquery('simple', :prefixes) AS prefixes) AS asked
JOIN entities AS entity ON entity.words @@ asked.prefixes
WHERE entity.tenant_id = :tenant_id AND entity.kind = ANY(:kinds::text[]) AND entity.deleted_at IS NULL
ORDER BY score DESC, entity.kind, entity.name, entity.id
LIMIT :limit OFFSET :offset;

-- name: may_find_similar^
-- Whether this server knows similar words.
SELECT EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_trgm') AS may;

-- name: find_similar
-- What has words in its name or key that are spelled nearly like these.
SELECT entity.kind, entity.id, entity.key, entity.name, entity.status, entity.body ->> 'description' AS description,
    entity.updated_at, near.score, count(*) OVER () AS total
FROM entities AS entity
CROSS JOIN LATERAL (
    SELECT word_similarity(:written, kaireon_words(entity.name || ' ' || entity.key))::double precision AS score
) AS near
WHERE entity.tenant_id = :tenant_id AND entity.kind = ANY(:kinds::text[]) AND entity.deleted_at IS NULL
    AND near.score >= 0.4
ORDER BY near.score DESC, entity.kind, entity.name, entity.id
LIMIT :limit OFFSET :offset;

-- name: tenant_versions
-- Every tenant and the version of its configuration.
SELECT tenant_id, config_version FROM tenants ORDER BY tenant_id;

-- name: tenant_version^
-- The version of one tenant's configuration.
SELECT config_version FROM tenants WHERE tenant_id = :tenant_id;

-- name: searched_entities
-- Everything of a tenant that can be found.
SELECT kind, id, key, name, status, body ->> 'description' AS description, body ->> 'tags' AS tags, updated_at
FROM entities
WHERE tenant_id = :tenant_id AND kind = ANY(:kinds::text[]) AND deleted_at IS NULL;
