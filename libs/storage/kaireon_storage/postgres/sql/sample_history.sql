-- name: import_contacts^
-- Store the rows that are new as interactions, and add exactly these to the summaries and the customers.
WITH tenant AS (
    SELECT coalesce(settings ->> 'timezone', 'UTC') AS timezone FROM tenants WHERE tenant_id = :tenant_id
),
inserted AS (
    INSERT INTO interactions (
        tenant_id, id, occurred_at, customer_id, kind, outcome_key, classification, direction,
        offer_id, creative_id, channel_id, placement_id, conversion_value, details
    )
    SELECT
        :tenant_id, id, occurred_at, customer_id, CASE WHEN is_impression THEN 'impression' ELSE 'outcome' END,
        outcome_key, classification, CASE WHEN is_impression THEN 'outbound' ELSE 'inbound' END,
        offer_id, creative_id, channel_id, placement_id, conversion_value,
        jsonb_build_object(
            'samplePack', :pack::text,
            'day', to_char(occurred_at AT TIME ZONE tenant.timezone, 'YYYY-MM-DD')
        )
    FROM unnest(
        :ids::uuid[], :occurred_at::timestamptz[], :customer_ids::text[], :offer_ids::uuid[], :creative_ids::uuid[],
        :channel_ids::uuid[], :placement_ids::uuid[], :outcome_keys::text[], :classifications::text[],
        :are_impressions::boolean[], :conversion_values::double precision[]
    ) AS given (
        id, occurred_at, customer_id, offer_id, creative_id, channel_id, placement_id, outcome_key, classification,
        is_impression, conversion_value
    )
    CROSS JOIN tenant
    ON CONFLICT DO NOTHING
    RETURNING
        id, occurred_at, customer_id, kind, outcome_key, classification, direction,
        offer_id, creative_id, channel_id, conversion_value, details
),
late AS (
    INSERT INTO late_rows (tenant_id, source, at, id)
    SELECT :tenant_id, 'interaction', occurred_at, id FROM inserted
    ON CONFLICT DO NOTHING
),
periods AS (
    SELECT inserted.*, 'daily' AS period_type, details ->> 'day' AS period_key FROM inserted
    UNION ALL
    SELECT inserted.*, 'alltime', 'alltime' FROM inserted
),
summed AS (
    INSERT INTO interaction_summaries AS summary (
        tenant_id, customer_id, offer_id, creative_id, channel_id, period_type, period_key, impressions,
        positive, negative, neutral, converts, total_value, last_contact_at, last_outcome_key, direction
    )
    SELECT
        :tenant_id, customer_id, offer_id, creative_id, channel_id, period_type, period_key,
        count(*) FILTER (WHERE kind = 'impression'),
        count(*) FILTER (WHERE classification = 'positive'),
        count(*) FILTER (WHERE classification = 'negative'),
        count(*) FILTER (WHERE kind <> 'impression' AND classification = 'neutral'),
        count(*) FILTER (WHERE outcome_key = 'convert'),
        coalesce(sum(conversion_value), 0),
        max(occurred_at) FILTER (WHERE kind = 'impression'),
        (array_agg(outcome_key ORDER BY occurred_at DESC, id))[1],
        (array_agg(direction ORDER BY occurred_at DESC, id))[1]
    FROM periods
    GROUP BY customer_id, offer_id, creative_id, channel_id, period_type, period_key
    ON CONFLICT (tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id)
    DO UPDATE SET
        impressions = summary.impressions + excluded.impressions,
        positive = summary.positive + excluded.positive,
        negative = summary.negative + excluded.negative,
        neutral = summary.neutral + excluded.neutral,
        converts = summary.converts + excluded.converts,
        total_value = summary.total_value + excluded.total_value,
        last_contact_at = greatest(summary.last_contact_at, excluded.last_contact_at)
    RETURNING 1
),
counted AS (
    INSERT INTO customers AS customer (tenant_id, customer_id, version, sequence)
    SELECT :tenant_id, customer_id, 1, count(*) FROM inserted GROUP BY customer_id
    ON CONFLICT (tenant_id, customer_id)
    DO UPDATE SET version = customer.version + 1, sequence = customer.sequence + excluded.sequence
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM inserted) AS interactions,
    (SELECT count(*) FROM summed) AS summaries,
    (SELECT count(*) FROM counted) AS customers;

-- name: uncount_contacts!
-- Take what was imported for a pack out of the counts of dashboards, as far as it is counted.
WITH gone AS (
    SELECT (i.occurred_at AT TIME ZONE coalesce(tenant.settings ->> 'timezone', 'UTC'))::date AS day, i.*
    FROM interactions AS i
    JOIN dashboard_progress AS progress ON progress.tenant_id = i.tenant_id AND i.occurred_at < progress.counted_to
    JOIN tenants AS tenant ON tenant.tenant_id = i.tenant_id
    WHERE i.tenant_id = :tenant_id AND i.details ->> 'samplePack' = :pack
        AND NOT EXISTS (
            SELECT FROM late_rows AS late
            WHERE late.tenant_id = i.tenant_id AND late.source = 'interaction' AND late.at = i.occurred_at
                AND late.id = i.id)
), taken AS (
    SELECT
        day, coalesce(offer_id, '00000000-0000-0000-0000-000000000000') AS offer_id,
        coalesce(creative_id, '00000000-0000-0000-0000-000000000000') AS creative_id,
        coalesce(channel_id, '00000000-0000-0000-0000-000000000000') AS channel_id,
        coalesce(outcome_key, '') AS outcome_key, coalesce(classification, '') AS classification,
        count(*) AS count, coalesce(sum(conversion_value), 0) AS amount
    FROM gone
    GROUP BY 1, 2, 3, 4, 5, 6
)
UPDATE dashboard_counts AS kept SET count = kept.count - taken.count, amount = kept.amount - taken.amount
FROM taken
WHERE kept.tenant_id = :tenant_id AND kept.fact = 'answer'
    AND (kept.day, kept.offer_id, kept.creative_id, kept.channel_id, kept.outcome_key, kept.classification)
    = (taken.day, taken.offer_id, taken.creative_id, taken.channel_id, taken.outcome_key, taken.classification);

-- name: forget_empty_counts!
-- Delete the counts that count nothing any more.
DELETE FROM dashboard_counts WHERE tenant_id = :tenant_id AND count = 0;

-- name: forget_contacts^
-- Delete what was imported for a pack, and take exactly these interactions out of the summaries.
WITH deleted AS (
    DELETE FROM interactions
    WHERE tenant_id = :tenant_id AND details ->> 'samplePack' = :pack
    RETURNING
        id, occurred_at, customer_id, kind, outcome_key, classification, offer_id, creative_id, channel_id, conversion_value, details
),
periods AS (
    SELECT deleted.*, 'daily' AS period_type, details ->> 'day' AS period_key FROM deleted
    UNION ALL
    SELECT deleted.*, 'alltime', 'alltime' FROM deleted
),
sums AS (
    SELECT
        customer_id, offer_id, creative_id, channel_id, period_type, period_key,
        count(*) FILTER (WHERE kind = 'impression') AS impressions,
        count(*) FILTER (WHERE classification = 'positive') AS positive,
        count(*) FILTER (WHERE classification = 'negative') AS negative,
        count(*) FILTER (WHERE kind <> 'impression' AND classification = 'neutral') AS neutral,
        count(*) FILTER (WHERE outcome_key = 'convert') AS converts,
        coalesce(sum(conversion_value), 0) AS total_value
    FROM periods
    GROUP BY customer_id, offer_id, creative_id, channel_id, period_type, period_key
),
reduced AS (
    UPDATE interaction_summaries AS summary SET
        impressions = summary.impressions - sums.impressions,
        positive = summary.positive - sums.positive,
        negative = summary.negative - sums.negative,
        neutral = summary.neutral - sums.neutral,
        converts = summary.converts - sums.converts,
        total_value = summary.total_value - sums.total_value
    FROM sums
    WHERE summary.tenant_id = :tenant_id
        AND (summary.customer_id, summary.period_type, summary.period_key, summary.offer_id, summary.creative_id,
            summary.channel_id)
        = (sums.customer_id, sums.period_type, sums.period_key, sums.offer_id, sums.creative_id, sums.channel_id)
    RETURNING 1
),
unmarked AS (
    DELETE FROM late_rows
    WHERE tenant_id = :tenant_id AND source = 'interaction' AND (at, id) IN (SELECT occurred_at, id FROM deleted)
),
touched AS (
    UPDATE customers SET version = version + 1
    WHERE tenant_id = :tenant_id AND customer_id IN (SELECT customer_id FROM deleted)
    RETURNING 1
)
SELECT
    (SELECT count(*) FROM deleted) AS interactions,
    (SELECT count(*) FROM reduced) AS summaries,
    (SELECT count(*) FROM touched) AS customers;

-- name: forget_empty_summaries!
-- Delete the summaries of a pack's offers that count nothing any more.
DELETE FROM interaction_summaries
WHERE tenant_id = :tenant_id AND customer_id = ANY(:customer_ids::text[])
    AND impressions = 0 AND positive = 0 AND negative = 0 AND neutral = 0;

-- name: forget_idle_customers
-- Delete the pack's customers for whom nothing else was ever recorded.
DELETE FROM customers
WHERE tenant_id = :tenant_id AND customer_id = ANY(:customer_ids::text[])
    AND NOT EXISTS (
        SELECT FROM interactions
        WHERE interactions.tenant_id = :tenant_id AND interactions.customer_id = customers.customer_id)
    AND NOT EXISTS (
        SELECT FROM decision_traces
        WHERE decision_traces.tenant_id = :tenant_id AND decision_traces.customer_id = customers.customer_id)
RETURNING customer_id;

-- name: forget_entities
-- Delete configured things for good, so that their ids and keys are free again; soft-deleted ones too.
DELETE FROM entities
WHERE tenant_id = :tenant_id AND id = ANY(:ids::uuid[])
RETURNING id, kind, key, name, status, body, row_version, created_at, updated_at, deleted_at;

-- name: forget_deleted_entities
-- Delete for good what was soft-deleted, so that it can be created again.
DELETE FROM entities
WHERE tenant_id = :tenant_id AND id = ANY(:ids::uuid[]) AND deleted_at IS NOT NULL
RETURNING id, kind, key, name, status, body, row_version, created_at, updated_at, deleted_at;

-- name: forget_flow_versions!
-- Delete the published versions of flows.
DELETE FROM flow_versions WHERE tenant_id = :tenant_id AND flow_id = ANY(:ids::uuid[]);

-- name: forget_model_versions!
-- Delete the trained versions of models.
DELETE FROM model_versions WHERE tenant_id = :tenant_id AND model_id = ANY(:ids::uuid[]);
