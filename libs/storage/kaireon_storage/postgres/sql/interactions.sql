-- Postgres as an interaction store: the table `interactions` alone, without what decisions recommended.

-- name: write_interactions!
-- Keep interactions of one tenant; those that are there already stay as they are.
WITH written AS (
    INSERT INTO interactions (
        tenant_id, customer_id, occurred_at, id, kind, outcome_key, classification, direction, offer_id, creative_id,
        channel_id, placement_id, recommendation_id, rank, score, conversion_value, details
    )
    SELECT :tenant_id, given.*
    FROM unnest(
        :customer_id::text[], :occurred_at::timestamptz[], :id::uuid[], :kind::text[], :outcome_key::text[],
        :classification::text[], :direction::text[], :offer_id::uuid[], :creative_id::uuid[], :channel_id::uuid[],
        :placement_id::uuid[], :recommendation_id::uuid[], :rank::smallint[], :score::double precision[],
        :conversion_value::double precision[], :details::jsonb[]
    ) AS given
    ON CONFLICT (tenant_id, occurred_at, id) DO NOTHING
    RETURNING tenant_id, occurred_at, id
)
INSERT INTO late_rows (tenant_id, source, at, id)
SELECT tenant_id, 'interaction', occurred_at, id FROM written
ON CONFLICT DO NOTHING;

-- name: customer_page
-- The newest of a customer's interactions, newest first.
SELECT
    tenant_id, customer_id, occurred_at, id, kind, outcome_key, classification, direction, offer_id, creative_id,
    channel_id, placement_id, recommendation_id, rank, score, conversion_value, details
FROM interactions AS i
WHERE i.tenant_id = :tenant_id AND i.customer_id = :customer_id
    AND (:offer_id::uuid IS NULL OR i.offer_id = :offer_id)
    AND (:creative_id::uuid IS NULL OR i.creative_id = :creative_id)
    AND (:recommendation_id::uuid IS NULL OR i.recommendation_id = :recommendation_id)
    AND (:type::text IS NULL OR i.outcome_key = :type)
    AND (:since::timestamptz IS NULL OR i.occurred_at >= :since)
    AND (:after_at::timestamptz IS NULL OR (i.occurred_at, i.id) < (:after_at, :after_id::uuid))
ORDER BY i.occurred_at DESC, i.id DESC
LIMIT :limit;

-- name: customer_summary^
-- What a customer's interactions add up to.
SELECT
    count(*) AS count,
    count(*) FILTER (WHERE kind = 'impression') AS impressions,
    count(*) FILTER (WHERE classification = 'positive') AS positive,
    count(*) FILTER (WHERE classification = 'negative') AS negative,
    count(*) FILTER (WHERE classification = 'neutral' AND kind <> 'impression') AS neutral,
    count(*) FILTER (WHERE outcome_key = 'convert') AS converts,
    coalesce(sum(conversion_value), 0) AS total_value,
    min(occurred_at) AS first_at,
    max(occurred_at) AS last_at
FROM interactions AS i
WHERE i.tenant_id = :tenant_id AND i.customer_id = :customer_id
    AND (:offer_id::uuid IS NULL OR i.offer_id = :offer_id)
    AND (:creative_id::uuid IS NULL OR i.creative_id = :creative_id)
    AND (:recommendation_id::uuid IS NULL OR i.recommendation_id = :recommendation_id)
    AND (:type::text IS NULL OR i.outcome_key = :type)
    AND (:since::timestamptz IS NULL OR i.occurred_at >= :since);

-- name: delete_customer_interactions!
-- Delete a customer's interactions.
DELETE FROM interactions WHERE tenant_id = :tenant_id AND customer_id = :customer_id;

-- name: export_interactions
-- The next interactions of a window, by their key; runs across tenants, as kaireon_system.
SELECT
    tenant_id, customer_id, occurred_at, id, kind, outcome_key, classification, direction, offer_id, creative_id,
    channel_id, placement_id, recommendation_id, rank, score, conversion_value, details
FROM interactions AS i
WHERE (:tenant_id::uuid IS NULL OR i.tenant_id = :tenant_id)
    AND (:since::timestamptz IS NULL OR i.occurred_at >= :since)
    AND (:until::timestamptz IS NULL OR i.occurred_at < :until)
    AND (:after_id::uuid IS NULL
        OR (i.tenant_id, i.occurred_at, i.id) > (:after_tenant::uuid, :after_at::timestamptz, :after_id))
ORDER BY i.tenant_id, i.occurred_at, i.id
LIMIT :limit;
