-- name: page_interactions
-- One page of interactions, newest first, with the names of what they refer to. What a decision recommended counts as
-- one interaction per rank, whose id is the decision's with the rank for its last four digits.
WITH recommended AS (
    SELECT
        overlay(decision.recommendation_id::text PLACING lpad(to_hex(item.rank), 4, '0') FROM 33)::uuid AS id,
        decision.tenant_id, decision.customer_id, decision.decided_at AS occurred_at, decision.recommendation_id,
        decision.details, item.*
    FROM (
        SELECT *
        FROM decision_traces AS t
        WHERE t.tenant_id = :tenant_id
            AND (:customer_id::text IS NULL OR t.customer_id = :customer_id)
            AND (:offer_id::uuid IS NULL OR :offer_id = ANY(t.offer_ids))
            AND (:creative_id::uuid IS NULL OR :creative_id = ANY(t.creative_ids))
            AND (:recommendation_id::uuid IS NULL OR t.recommendation_id = :recommendation_id)
            AND (:type::text IS NULL OR :type = 'recommendation')
            AND (:since::timestamptz IS NULL OR t.decided_at >= :since)
            AND (:after_at::timestamptz IS NULL OR (t.decided_at, t.recommendation_id)
                <= (:after_at, overlay(:after_id::text PLACING 'ffff' FROM 33)::uuid))
            AND t.offer_ids <> '{}'
        ORDER BY t.decided_at DESC, t.recommendation_id DESC
        -- The first may be left over from the page before.
        LIMIT :limit + 1
    ) AS decision
    CROSS JOIN LATERAL unnest(
        decision.offer_ids, decision.creative_ids, decision.channel_ids, decision.placement_ids, decision.scores
    ) WITH ORDINALITY AS item (offer_id, creative_id, channel_id, placement_id, score, rank)
    WHERE (:offer_id::uuid IS NULL OR item.offer_id = :offer_id)
        AND (:creative_id::uuid IS NULL OR item.creative_id = :creative_id)
), found AS (
    (
        SELECT
            id, tenant_id, customer_id, kind, outcome_key, classification, direction, offer_id, creative_id,
            channel_id, placement_id, recommendation_id, rank, score, conversion_value, occurred_at, details
        FROM interactions AS i
        WHERE i.tenant_id = :tenant_id AND i.kind <> 'event'
            AND (:customer_id::text IS NULL OR i.customer_id = :customer_id)
            AND (:offer_id::uuid IS NULL OR i.offer_id = :offer_id)
            AND (:creative_id::uuid IS NULL OR i.creative_id = :creative_id)
            AND (:recommendation_id::uuid IS NULL OR i.recommendation_id = :recommendation_id)
            AND (:type::text IS NULL OR i.outcome_key = :type)
            AND (:since::timestamptz IS NULL OR i.occurred_at >= :since)
            AND (:after_at::timestamptz IS NULL OR (i.occurred_at, i.id) < (:after_at, :after_id::uuid))
        ORDER BY i.occurred_at DESC, i.id DESC
        LIMIT :limit
    )
    UNION ALL
    SELECT
        id, tenant_id, customer_id, 'recommendation', NULL, NULL, NULL, offer_id, creative_id, channel_id,
        placement_id, recommendation_id, rank, score, NULL, occurred_at, details
    FROM recommended
    WHERE :after_at::timestamptz IS NULL OR (occurred_at, id) < (:after_at, :after_id::uuid)
)
SELECT
    found.*, offer.name AS offer_name, offer.status AS offer_status, creative.name AS creative_name,
    creative.status AS creative_status
FROM (SELECT * FROM found ORDER BY occurred_at DESC, id DESC LIMIT :limit) AS found
LEFT JOIN entities AS offer
    ON offer.tenant_id = found.tenant_id AND offer.kind = 'offer' AND offer.id = found.offer_id
LEFT JOIN entities AS creative
    ON creative.tenant_id = found.tenant_id AND creative.kind = 'creative' AND creative.id = found.creative_id
ORDER BY found.occurred_at DESC, found.id DESC;

-- name: count_interactions^
-- How many interactions all pages hold.
SELECT (
    SELECT count(*)
    FROM interactions AS i
    WHERE i.tenant_id = :tenant_id AND i.kind <> 'event'
        AND (:customer_id::text IS NULL OR i.customer_id = :customer_id)
        AND (:offer_id::uuid IS NULL OR i.offer_id = :offer_id)
        AND (:creative_id::uuid IS NULL OR i.creative_id = :creative_id)
        AND (:recommendation_id::uuid IS NULL OR i.recommendation_id = :recommendation_id)
        AND (:type::text IS NULL OR i.outcome_key = :type)
        AND (:since::timestamptz IS NULL OR i.occurred_at >= :since)
) + (
    SELECT count(*)
    FROM decision_traces AS t
    CROSS JOIN LATERAL unnest(t.offer_ids, t.creative_ids) AS item (offer_id, creative_id)
    WHERE t.tenant_id = :tenant_id
        AND (:customer_id::text IS NULL OR t.customer_id = :customer_id)
        AND (:offer_id::uuid IS NULL OR item.offer_id = :offer_id)
        AND (:creative_id::uuid IS NULL OR item.creative_id = :creative_id)
        AND (:recommendation_id::uuid IS NULL OR t.recommendation_id = :recommendation_id)
        AND (:type::text IS NULL OR :type = 'recommendation')
        AND (:since::timestamptz IS NULL OR t.decided_at >= :since)
) AS total;

-- name: named_things
-- Name and status of things of a kind, deleted ones too.
SELECT id, name, status FROM entities WHERE tenant_id = :tenant_id AND kind = :kind AND id = ANY(:ids::uuid[]);

-- name: page_summaries
-- One page of a customer's summaries; the nil UUID stands for none.
SELECT
    period_type, period_key, customer_id,
    nullif(offer_id, '00000000-0000-0000-0000-000000000000') AS offer_id,
    nullif(creative_id, '00000000-0000-0000-0000-000000000000') AS creative_id,
    nullif(channel_id, '00000000-0000-0000-0000-000000000000') AS channel_id,
    impressions, positive, negative, neutral, converts, total_value, last_contact_at, last_outcome_key, direction
FROM interaction_summaries AS s
WHERE s.tenant_id = :tenant_id AND s.customer_id = :customer_id
    AND (:period_type::text IS NULL OR s.period_type = :period_type)
    AND (:offer_id::uuid IS NULL OR s.offer_id = :offer_id)
    AND (:channel_id::uuid IS NULL OR s.channel_id = :channel_id)
ORDER BY s.period_type, s.period_key DESC, s.offer_id, s.creative_id, s.channel_id
LIMIT :limit OFFSET :offset;

-- name: count_summaries^
-- How many summaries all pages hold.
SELECT count(*) AS total
FROM interaction_summaries AS s
WHERE s.tenant_id = :tenant_id AND s.customer_id = :customer_id
    AND (:period_type::text IS NULL OR s.period_type = :period_type)
    AND (:offer_id::uuid IS NULL OR s.offer_id = :offer_id)
    AND (:channel_id::uuid IS NULL OR s.channel_id = :channel_id);

-- name: customer_suppressions
-- Every ban of a customer, the latest to end first.
SELECT
    s.policy_id, s.scope, s.scope_id, s.policy_type, s.reason, s.trigger_count, s.expires_at, s.created_at,
    offer.name AS offer_name
FROM suppressions AS s
LEFT JOIN entities AS offer
    ON offer.tenant_id = s.tenant_id AND offer.kind = 'offer' AND s.scope = 'offer' AND offer.id::text = s.scope_id
WHERE s.tenant_id = :tenant_id AND s.customer_id = :customer_id
ORDER BY s.expires_at DESC, s.policy_id, s.scope_id;

-- name: page_traces
-- One page of decision traces, newest first.
SELECT
    t.recommendation_id, t.decided_at, t.customer_id, t.flow_id, t.flow_version, t.legend_hash, t.snapshot_hash,
    t.content, flow.key AS flow_key
FROM decision_traces AS t
LEFT JOIN entities AS flow ON flow.tenant_id = t.tenant_id AND flow.kind = 'decision_flow' AND flow.id = t.flow_id
WHERE t.tenant_id = :tenant_id AND t.content IS NOT NULL
    AND (:customer_id::text IS NULL OR t.customer_id = :customer_id)
    AND (:recommendation_id::uuid IS NULL OR t.recommendation_id = :recommendation_id)
    AND (:decided_at_ms::bigint IS NULL OR t.decided_at = to_timestamp(:decided_at_ms::double precision / 1000))
    AND (:after_at::timestamptz IS NULL OR (t.decided_at, t.recommendation_id) < (:after_at, :after_id::uuid))
ORDER BY t.decided_at DESC, t.recommendation_id DESC
LIMIT :limit OFFSET :offset;

-- name: count_traces^
-- How many traces all pages hold.
SELECT count(*) AS total
FROM decision_traces AS t
WHERE t.tenant_id = :tenant_id AND t.content IS NOT NULL
    AND (:customer_id::text IS NULL OR t.customer_id = :customer_id)
    AND (:recommendation_id::uuid IS NULL OR t.recommendation_id = :recommendation_id)
    AND (:decided_at_ms::bigint IS NULL OR t.decided_at = to_timestamp(:decided_at_ms::double precision / 1000));

-- name: get_snapshot^
-- Content-addressed bytes.
SELECT content FROM snapshots WHERE tenant_id = :tenant_id AND hash = :hash;

-- name: recent_traces
-- Traces from an instant on, newest first, from one of them on; nothing is counted.
SELECT
    t.recommendation_id, t.decided_at, t.customer_id, t.flow_id, t.flow_version, t.legend_hash, t.snapshot_hash,
    t.content, NULL AS flow_key
FROM decision_traces AS t
WHERE t.tenant_id = :tenant_id AND t.content IS NOT NULL AND t.decided_at >= :since
    AND (:after_at::timestamptz IS NULL OR (t.decided_at, t.recommendation_id) < (:after_at, :after_id::uuid))
ORDER BY t.decided_at DESC, t.recommendation_id DESC
LIMIT :limit;
