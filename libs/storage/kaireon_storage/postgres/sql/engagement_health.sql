-- name: recompute_chunk
-- Work out the engagement health of a tenant's next customers, and answer who they are, in order. Their rows are held so
-- that nobody who is being erased is written anew.
WITH chunk AS (
    SELECT customer_id FROM customers
    WHERE tenant_id = :tenant_id AND customer_id > :after
    ORDER BY customer_id
    LIMIT :chunk
    FOR KEY SHARE
), counted AS (
    SELECT
        chunk.customer_id, max(response.occurred_at) AS last_response_at,
        count(response.id) FILTER (WHERE response.occurred_at > :now::timestamptz - interval '30 days') AS responses,
        count(response.id) FILTER (WHERE response.classification = 'positive') AS positive,
        count(response.id) FILTER (WHERE response.classification = 'negative') AS negative
    FROM chunk
    LEFT JOIN interactions AS response
        ON response.tenant_id = :tenant_id AND response.customer_id = chunk.customer_id
        AND response.kind = 'outcome' AND response.outcome_key IS DISTINCT FROM 'impression'
        AND response.occurred_at > :now::timestamptz - interval '90 days' AND response.occurred_at <= :now
    GROUP BY chunk.customer_id
), measured AS (
    SELECT
        counted.*,
        CASE WHEN last_response_at IS NULL THEN 0
            ELSE 0.5 ^ (extract(epoch FROM :now::timestamptz - last_response_at)::double precision / 2592000) END AS recency,
        responses / (5.0::double precision + responses) AS frequency,
        CASE WHEN last_response_at IS NULL THEN 0
            ELSE (positive + 1.0::double precision) / (positive + negative + 2) END AS positivity
    FROM counted
), stored AS (
    INSERT INTO engagement_health AS health (
        tenant_id, customer_id, score, recency, frequency, positivity, responses, positive, negative, last_response_at,
        computed_at
    )
    SELECT
        :tenant_id::uuid, customer_id, 100 * (0.4 * recency + 0.3 * frequency + 0.3 * positivity), recency, frequency,
        positivity, responses, positive, negative, last_response_at, :now
    FROM measured
    ON CONFLICT (tenant_id, customer_id) DO UPDATE
        SET score = excluded.score, recency = excluded.recency, frequency = excluded.frequency,
            positivity = excluded.positivity, responses = excluded.responses, positive = excluded.positive,
            negative = excluded.negative, last_response_at = excluded.last_response_at,
            computed_at = excluded.computed_at
    RETURNING customer_id
)
SELECT customer_id FROM stored ORDER BY customer_id;

-- name: get_health^
-- The engagement health of a customer, as it was last worked out.
SELECT customer_id, score, recency, frequency, positivity, responses, positive, negative, last_response_at, computed_at
FROM engagement_health
WHERE tenant_id = :tenant_id AND customer_id = :customer_id;
