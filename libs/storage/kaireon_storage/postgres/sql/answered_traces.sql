-- name: traces_between
-- Decisions of a flow that showed anything, from an instant on and before another, oldest first, with what customers
-- did with what was shown.
SELECT
    t.recommendation_id, t.decided_at, t.customer_id, t.flow_id, t.flow_version, t.legend_hash, t.snapshot_hash,
    t.content, NULL AS flow_key, coalesce(answer.answers, '[]'::jsonb) AS answers
FROM decision_traces AS t
LEFT JOIN LATERAL (
    SELECT jsonb_agg(jsonb_build_object(
        'rank', i.rank, 'outcome_key', i.outcome_key, 'classification', coalesce(i.classification, 'neutral')
    )) AS answers
    FROM interactions AS i
    WHERE i.tenant_id = t.tenant_id AND i.recommendation_id = t.recommendation_id AND i.kind = 'outcome'
        AND i.rank IS NOT NULL
) AS answer ON TRUE
WHERE t.tenant_id = :tenant_id AND t.flow_id = :flow_id AND t.content IS NOT NULL AND t.offer_ids <> '{}'
    AND t.decided_at >= :from_at AND t.decided_at < :to_at
    AND (:after_at::timestamptz IS NULL OR (t.decided_at, t.recommendation_id) > (:after_at, :after_id::uuid))
ORDER BY t.decided_at, t.recommendation_id
LIMIT :limit;

-- name: count_between^
-- How many of them there are.
SELECT count(*) AS total
FROM decision_traces AS t
WHERE t.tenant_id = :tenant_id AND t.flow_id = :flow_id AND t.content IS NOT NULL AND t.offer_ids <> '{}'
    AND t.decided_at >= :from_at AND t.decided_at < :to_at;
