-- name: variant_counts(tenant_id, experiment_key, since)
-- What happened in each variant of an experiment since an instant: outcomes belong to the decision that they answer.
WITH decided AS (
    SELECT recommendation_id, customer_id, variant
    FROM decision_traces
    WHERE tenant_id = :tenant_id AND experiment_key = :experiment_key AND decided_at >= :since
), answered AS (
    SELECT
        recommendation_id,
        count(*) FILTER (WHERE kind = 'impression') AS impressions,
        count(*) FILTER (WHERE kind = 'outcome' AND classification = 'positive') AS positive_outcomes
    FROM interactions
    WHERE tenant_id = :tenant_id AND occurred_at >= :since
        AND recommendation_id IN (SELECT recommendation_id FROM decided)
    GROUP BY recommendation_id
)
SELECT
    decided.variant,
    count(DISTINCT decided.customer_id) AS customers,
    count(*) AS decisions,
    coalesce(sum(answered.impressions), 0)::bigint AS impressions,
    coalesce(sum(answered.positive_outcomes), 0)::bigint AS positive_outcomes,
    count(DISTINCT decided.customer_id) FILTER (WHERE answered.positive_outcomes > 0) AS converted_customers
FROM decided
LEFT JOIN answered USING (recommendation_id)
GROUP BY decided.variant
ORDER BY decided.variant;
