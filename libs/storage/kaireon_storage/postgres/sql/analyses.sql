-- name: allow_a_minute^
-- Let the scan of a large table take its time, and no longer.
SELECT set_config('statement_timeout', '60s', true);

-- name: count_contacts^
-- How many interactions a scope saw in a period.
SELECT count(*) AS total
FROM interactions AS i
WHERE i.tenant_id = :tenant_id AND i.occurred_at >= :since AND i.occurred_at <= :until AND i.kind <> 'event'
    AND (:offer_id::uuid IS NULL OR i.offer_id = :offer_id)
    AND (:creative_id::uuid IS NULL OR i.creative_id = :creative_id)
    AND (:channel_id::uuid IS NULL OR i.channel_id = :channel_id);

-- name: sample_contacts
-- The interactions of whole customers, drawn by a hash of their id and a seed until there are enough, in the order in
-- which they happened; `local_day` counts in the tenant's calendar, from 0001-01-01 as day 1.
WITH seen AS (
    SELECT
        i.customer_id, i.occurred_at, i.id, i.kind, i.outcome_key, i.classification, i.offer_id, i.recommendation_id
    FROM interactions AS i
    WHERE i.tenant_id = :tenant_id AND i.occurred_at >= :since AND i.occurred_at <= :until AND i.kind <> 'event'
        AND (:offer_id::uuid IS NULL OR i.offer_id = :offer_id)
        AND (:creative_id::uuid IS NULL OR i.creative_id = :creative_id)
        AND (:channel_id::uuid IS NULL OR i.channel_id = :channel_id)
), counted AS (
    SELECT customer_id, count(*) AS contacts, hashtextextended(customer_id, :seed) AS place
    FROM seen
    GROUP BY customer_id
), drawn AS (
    SELECT customer_id, place
    FROM (
        SELECT customer_id, place, sum(contacts) OVER (ORDER BY place, customer_id) AS contacts_so_far FROM counted
        -- Nobody fills a sample alone.
        WHERE contacts <= :limit
    ) AS running
    WHERE contacts_so_far <= :limit
)
SELECT
    seen.customer_id, (extract(epoch FROM seen.occurred_at) * 1000)::bigint AS at_ms,
    (seen.occurred_at AT TIME ZONE coalesce(tenant.settings ->> 'timezone', 'UTC'))::date - DATE '0001-01-01' + 1
        AS local_day,
    seen.kind, seen.outcome_key, seen.classification, seen.offer_id, seen.recommendation_id
FROM seen
JOIN drawn USING (customer_id)
JOIN tenants AS tenant ON tenant.tenant_id = :tenant_id
ORDER BY drawn.place, seen.customer_id, seen.occurred_at, seen.kind, seen.id;

-- name: count_shown_creatives^
-- How many creatives were shown at all.
SELECT count(DISTINCT s.creative_id) AS total
FROM interaction_summaries AS s
WHERE s.tenant_id = :tenant_id AND s.period_type = 'alltime' AND s.impressions > 0
    AND s.creative_id <> '00000000-0000-0000-0000-000000000000'
    AND (:channel_id::uuid IS NULL OR s.channel_id = :channel_id);

-- name: sample_creatives
-- What creatives say and how they were answered, drawn by a hash of their id and a seed; deleted ones count too.
SELECT creative.id, creative.body -> 'content' AS content, shown.impressions, shown.positives
FROM (
    SELECT s.creative_id, sum(s.impressions) AS impressions, sum(s.positive) AS positives
    FROM interaction_summaries AS s
    WHERE s.tenant_id = :tenant_id AND s.period_type = 'alltime'
        AND (:channel_id::uuid IS NULL OR s.channel_id = :channel_id)
    GROUP BY s.creative_id
    HAVING sum(s.impressions) > 0
) AS shown
JOIN entities AS creative
    ON creative.tenant_id = :tenant_id AND creative.kind = 'creative' AND creative.id = shown.creative_id
ORDER BY hashtextextended(creative.id::text, :seed), creative.id
LIMIT :limit;
