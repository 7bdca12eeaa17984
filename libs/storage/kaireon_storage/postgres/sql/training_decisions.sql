-- name: training_decisions
-- Stored decisions, newest first, after a position, and whether any impression of theirs was recorded.
SELECT
    t.recommendation_id, t.decided_at, t.customer_id, t.offer_ids, t.legend_hash, t.content,
    EXISTS (
        SELECT FROM interactions AS i
        WHERE i.tenant_id = t.tenant_id AND i.recommendation_id = t.recommendation_id AND i.outcome_key = 'impression'
    ) AS has_impressions
FROM decision_traces AS t
WHERE t.tenant_id = :tenant_id AND t.content IS NOT NULL AND t.offer_ids <> '{}'
    AND (:after_at::timestamptz IS NULL OR (t.decided_at, t.recommendation_id) < (:after_at, :after_id::uuid))
ORDER BY t.decided_at DESC, t.recommendation_id DESC
LIMIT :limit;

-- name: outcomes_of_decisions
-- What became of the offers of these decisions: positive where any outcome was, else the class of one of the others.
SELECT
    recommendation_id, offer_id,
    CASE WHEN bool_or(classification = 'positive') THEN 'positive' ELSE max(classification) END AS best
FROM interactions
WHERE tenant_id = :tenant_id AND recommendation_id = ANY(:recommendation_ids::uuid[]) AND offer_id IS NOT NULL
GROUP BY recommendation_id, offer_id;
