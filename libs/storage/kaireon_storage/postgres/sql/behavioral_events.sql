-- name: claim_keys
-- Claim the keys of events; of those that were used before nothing comes back.
INSERT INTO idempotency_keys (tenant_id, key, body_hash, response)
SELECT :tenant_id, given.key, ''::bytea, to_json(given.id)::text
FROM unnest(:keys::text[], :ids::text[]) AS given (key, id)
ORDER BY given.key
ON CONFLICT (tenant_id, key) DO NOTHING
RETURNING key;

-- name: known_ids
-- The first id under each of these keys.
SELECT key, response::jsonb #>> '{}' AS id FROM idempotency_keys WHERE tenant_id = :tenant_id AND key = ANY(:keys::text[]);

-- name: store_events!
-- Keep events, and let whoever decides for their customers right now know that they did something.
WITH given AS (
    SELECT *
    FROM unnest(
        :ids::uuid[], :customer_ids::text[], :occurred_at_ms::double precision[], :details::text[]
    ) AS given (id, customer_id, occurred_at_ms, details)
), raised AS (
    INSERT INTO customers AS customer (tenant_id, customer_id, version)
    SELECT DISTINCT :tenant_id::uuid, customer_id, 1 FROM given ORDER BY customer_id
    ON CONFLICT (tenant_id, customer_id) DO UPDATE SET version = customer.version + 1
)
INSERT INTO interactions (tenant_id, id, occurred_at, customer_id, kind, direction, details)
SELECT :tenant_id::uuid, id, to_timestamp(occurred_at_ms / 1000), customer_id, 'event', 'inbound', details::jsonb
FROM given;
