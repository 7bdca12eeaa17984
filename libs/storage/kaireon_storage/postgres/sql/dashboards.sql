-- name: bound_statement^
-- A dashboard that takes longer is given up: the database has other things to do.
SELECT set_config('statement_timeout', '4s', true);

-- name: summary^
-- Everything in numbers.
SELECT decided.*, answered.*,
    answered.positive::double precision / nullif(answered.impressions, 0) AS acceptance_rate
FROM (
    SELECT coalesce(sum(count), 0)::bigint AS decisions,
        coalesce(sum(count) FILTER (WHERE outcome_key = 'empty'), 0)::bigint AS empty_decisions,
        coalesce(sum(ranks), 0)::bigint AS recommendations
    FROM kaireon_counts(:tenant_id, :timezone, :from_at, :to_at, 'decision')
) AS decided
CROSS JOIN (
    SELECT coalesce(sum(impressions), 0)::bigint AS impressions, coalesce(sum(positive), 0)::bigint AS positive,
        coalesce(sum(negative), 0)::bigint AS negative, coalesce(sum(conversions), 0)::bigint AS conversions,
        coalesce(sum(revenue), 0) AS revenue,
        kaireon_customers(:tenant_id, :timezone, :from_at, :to_at, 'answer') AS customers
    FROM kaireon_answers(:tenant_id, :timezone, :from_at, :to_at)
) AS answered;

-- name: acceptance_rate
-- How much of what was shown was accepted, day by day in the tenant's zone.
SELECT day.day, coalesce(answered.impressions, 0) AS impressions, coalesce(answered.positive, 0) AS positive,
    answered.positive::double precision / nullif(answered.impressions, 0) AS acceptance_rate
FROM (
    SELECT generate_series(:from_day::date, :to_day::date, interval '1 day')::date AS day
) AS day
LEFT JOIN (
    SELECT day, sum(impressions)::bigint AS impressions, sum(positive)::bigint AS positive
    FROM kaireon_answers(:tenant_id, :timezone, :from_at, :to_at)
    GROUP BY day
) AS answered USING (day)
ORDER BY day.day;

-- name: offer_performance
-- What was shown of each offer and what came of it, the most accepted first.
SELECT answered.offer_id, offer.key AS offer_key, offer.name AS offer_name, answered.impressions, answered.positive,
    answered.negative, answered.conversions, answered.revenue,
    answered.positive::double precision / nullif(answered.impressions, 0) AS acceptance_rate
FROM (
    SELECT offer_id,
        sum(impressions)::bigint AS impressions, sum(positive)::bigint AS positive,
        sum(negative)::bigint AS negative, sum(conversions)::bigint AS conversions, sum(revenue) AS revenue
    FROM kaireon_answers(:tenant_id, :timezone, :from_at, :to_at)
    WHERE offer_id IS NOT NULL
    GROUP BY offer_id
) AS answered
LEFT JOIN entities AS offer
    ON offer.tenant_id = :tenant_id AND offer.kind = 'offer' AND offer.id = answered.offer_id
ORDER BY answered.positive DESC, answered.impressions DESC, answered.offer_id
LIMIT :limit;

-- name: offer_performance_grouped
-- The same by category; offers without one are together.
SELECT answered.*, category.key AS category_key, category.name AS category_name,
    answered.positive::double precision / nullif(answered.impressions, 0) AS acceptance_rate
FROM (
    SELECT (offer.body ->> 'categoryId')::uuid AS category_id, count(DISTINCT i.offer_id) AS offers,
        sum(impressions)::bigint AS impressions, sum(positive)::bigint AS positive,
        sum(negative)::bigint AS negative, sum(conversions)::bigint AS conversions, sum(revenue) AS revenue
    FROM kaireon_answers(:tenant_id, :timezone, :from_at, :to_at) AS i
    LEFT JOIN entities AS offer
        ON offer.tenant_id = :tenant_id AND offer.kind = 'offer' AND offer.id = i.offer_id
    WHERE i.offer_id IS NOT NULL
    GROUP BY category_id
) AS answered
LEFT JOIN entities AS category
    ON category.tenant_id = :tenant_id AND category.kind = 'category' AND category.id = answered.category_id
ORDER BY answered.positive DESC, answered.impressions DESC, answered.category_id
LIMIT :limit;

-- name: channel_effectiveness
-- The same by channel.
SELECT answered.channel_id, channel.key AS channel_key, channel.name AS channel_name, answered.impressions,
    answered.positive, answered.negative, answered.conversions, answered.revenue,
    answered.positive::double precision / nullif(answered.impressions, 0) AS acceptance_rate
FROM (
    SELECT channel_id,
        sum(impressions)::bigint AS impressions, sum(positive)::bigint AS positive,
        sum(negative)::bigint AS negative, sum(conversions)::bigint AS conversions, sum(revenue) AS revenue
    FROM kaireon_answers(:tenant_id, :timezone, :from_at, :to_at)
    WHERE channel_id IS NOT NULL
    GROUP BY channel_id
) AS answered
LEFT JOIN entities AS channel
    ON channel.tenant_id = :tenant_id AND channel.kind = 'channel' AND channel.id = answered.channel_id
ORDER BY answered.positive DESC, answered.impressions DESC, answered.channel_id
LIMIT :limit;

-- name: daily_trend
-- What was decided and what came of it, day by day in the tenant's zone.
SELECT day.day, coalesce(decided.decisions, 0) AS decisions, coalesce(decided.recommendations, 0) AS recommendations,
    coalesce(answered.impressions, 0) AS impressions, coalesce(answered.positive, 0) AS positive,
    coalesce(answered.negative, 0) AS negative, coalesce(answered.conversions, 0) AS conversions
FROM (
    SELECT generate_series(:from_day::date, :to_day::date, interval '1 day')::date AS day
) AS day
LEFT JOIN (
    SELECT day, sum(count)::bigint AS decisions, sum(ranks)::bigint AS recommendations
    FROM kaireon_counts(:tenant_id, :timezone, :from_at, :to_at, 'decision')
    GROUP BY day
) AS decided USING (day)
LEFT JOIN (
    SELECT day,
        sum(impressions)::bigint AS impressions, sum(positive)::bigint AS positive,
        sum(negative)::bigint AS negative, sum(conversions)::bigint AS conversions
    FROM kaireon_answers(:tenant_id, :timezone, :from_at, :to_at)
    GROUP BY day
) AS answered USING (day)
ORDER BY day.day;

-- name: revenue_trend
-- Conversions and what they brought, day by day in the tenant's zone.
SELECT day.day, coalesce(answered.conversions, 0) AS conversions, coalesce(answered.revenue, 0) AS revenue
FROM (
    SELECT generate_series(:from_day::date, :to_day::date, interval '1 day')::date AS day
) AS day
LEFT JOIN (
    SELECT day, sum(conversions)::bigint AS conversions, sum(revenue) AS revenue
    FROM kaireon_answers(:tenant_id, :timezone, :from_at, :to_at)
    GROUP BY day
) AS answered USING (day)
ORDER BY day.day;

-- name: selection_frequency
-- How often each offer was chosen, at which rank, and how much of all that was chosen that is.
SELECT chosen.offer_id, offer.key AS offer_key, offer.name AS offer_name, chosen.selections,
    chosen.selections / sum(chosen.selections) OVER ()::double precision AS share, chosen.average_rank,
    chosen.average_score
FROM (
    SELECT offer_id, sum(count)::bigint AS selections, sum(ranks)::double precision / sum(count) AS average_rank,
        sum(amount) / sum(count) AS average_score
    FROM kaireon_counts(:tenant_id, :timezone, :from_at, :to_at, 'selection')
    GROUP BY offer_id
) AS chosen
LEFT JOIN entities AS offer
    ON offer.tenant_id = :tenant_id AND offer.kind = 'offer' AND offer.id = chosen.offer_id
ORDER BY chosen.selections DESC, chosen.offer_id
LIMIT :limit;

-- name: score_distribution
-- The scores of what was chosen by the latest decisions, in twenty equal parts from the lowest to the highest.
WITH chosen AS (
    SELECT item.score
    FROM (
        SELECT scores FROM decision_traces
        WHERE tenant_id = :tenant_id AND decided_at >= :from_at AND decided_at < :to_at
        ORDER BY decided_at DESC
        LIMIT :most_scored
    ) AS t
    CROSS JOIN LATERAL unnest(t.scores) AS item (score)
), spread AS (
    SELECT min(score) AS lowest, max(score) AS highest FROM chosen
), counted AS (
    SELECT
        CASE WHEN spread.lowest = spread.highest THEN 1
            ELSE least(width_bucket(chosen.score, spread.lowest, spread.highest, 20), 20) END AS bucket,
        count(*) AS count
    FROM chosen CROSS JOIN spread
    GROUP BY 1
)
SELECT bucket.bucket, spread.lowest + (spread.highest - spread.lowest) * (bucket.bucket - 1) / 20 AS from_score,
    spread.lowest + (spread.highest - spread.lowest) * bucket.bucket / 20 AS to_score,
    coalesce(counted.count, 0) AS count
FROM spread CROSS JOIN generate_series(1, 20) AS bucket (bucket) LEFT JOIN counted USING (bucket)
WHERE spread.lowest IS NOT NULL
ORDER BY bucket.bucket;

-- name: model_metrics_trend
-- How the versions that were trained measured, oldest first.
SELECT version.model_id, model.key AS model_key, model.name AS model_name, version.version, version.created_at,
    version.metrics
FROM model_versions AS version
LEFT JOIN entities AS model
    ON model.tenant_id = version.tenant_id AND model.kind = 'algorithm_model' AND model.id = version.model_id
WHERE version.tenant_id = :tenant_id AND version.created_at >= :from_at AND version.created_at < :to_at
ORDER BY version.created_at, version.model_id, version.version
LIMIT :limit;

-- name: anomaly_candidates
-- Offers whose share of accepted impressions on the last day is not that of the days before: two proportions, compared by their
-- pooled standard error, where each has thirty impressions.
SELECT found.*, offer.key AS offer_key, offer.name AS offer_name
FROM (
    SELECT measured.*, (acceptance_rate - usual_rate)
        / sqrt(pooled * (1 - pooled) * (1.0 / impressions + 1.0 / usual_impressions)) AS z_score
    FROM (
        SELECT offer_id, impressions, usual_impressions,
            positive::double precision / impressions AS acceptance_rate,
            usual_positive::double precision / usual_impressions AS usual_rate,
            least((positive + usual_positive)::double precision / (impressions + usual_impressions), 1) AS pooled
        FROM (
            SELECT offer_id,
                coalesce(sum(impressions) FILTER (WHERE day = :to_day::date), 0) AS impressions,
                coalesce(sum(positive) FILTER (WHERE day = :to_day::date), 0) AS positive,
                coalesce(sum(impressions) FILTER (WHERE day < :to_day::date), 0) AS usual_impressions,
                coalesce(sum(positive) FILTER (WHERE day < :to_day::date), 0) AS usual_positive
            FROM kaireon_answers(:tenant_id, :timezone, :from_at, :to_at)
            WHERE offer_id IS NOT NULL
            GROUP BY offer_id
        ) AS counted
        WHERE impressions >= 30 AND usual_impressions >= 30
    ) AS measured
    WHERE pooled > 0 AND pooled < 1
) AS found
LEFT JOIN entities AS offer
    ON offer.tenant_id = :tenant_id AND offer.kind = 'offer' AND offer.id = found.offer_id
WHERE abs(found.z_score) >= 3
ORDER BY abs(found.z_score) DESC, found.offer_id
LIMIT :limit;

-- name: decision_health^
-- How decisions went, in numbers.
SELECT decided.*, decided.empty_decisions::double precision / nullif(decided.decisions, 0) AS empty_rate,
    kaireon_customers(:tenant_id, :timezone, :from_at, :to_at, 'decision') AS customers
FROM (
    SELECT coalesce(sum(count), 0)::bigint AS decisions,
        coalesce(sum(count) FILTER (WHERE outcome_key = 'empty'), 0)::bigint AS empty_decisions,
        sum(ranks)::double precision / sum(count) AS average_offers,
        coalesce(sum(count) FILTER (WHERE classification = 'traced'), 0)::bigint AS traced_decisions
    FROM kaireon_counts(:tenant_id, :timezone, :from_at, :to_at, 'decision')
) AS decided;

-- name: latest_decisions^
-- Since when there were so many decisions; null where there were fewer.
SELECT (
    SELECT decided_at FROM decision_traces
    WHERE tenant_id = :tenant_id AND decided_at >= :from_at
    ORDER BY decided_at DESC OFFSET :most_decisions LIMIT 1
) AS since;

-- name: interaction_summary
-- What was shown and answered, by what was shown or by channel, the most shown first.
SELECT counted.*, coalesce(named.key, counted.subject) AS key, named.name, count(*) OVER () AS group_count
FROM (
    SELECT
        CASE :group_by WHEN 'action' THEN offer_id WHEN 'treatment' THEN creative_id ELSE channel_id END::text AS subject,
        coalesce(sum(count) FILTER (WHERE outcome_key = 'impression'), 0)::bigint AS impression,
        coalesce(sum(count) FILTER (WHERE outcome_key = 'click'), 0)::bigint AS click,
        coalesce(sum(count) FILTER (WHERE outcome_key = 'dismiss'), 0)::bigint AS dismiss,
        coalesce(sum(count) FILTER (WHERE outcome_key = 'accept'), 0)::bigint AS accept,
        coalesce(sum(count) FILTER (WHERE outcome_key = 'convert'), 0)::bigint AS convert,
        sum(count)::bigint AS total,
        coalesce(sum(count) FILTER (WHERE classification = 'positive'), 0)::bigint AS positive,
        coalesce(sum(count) FILTER (WHERE classification = 'negative'), 0)::bigint AS negative,
        coalesce(
            sum(count) FILTER (WHERE classification = 'neutral' AND outcome_key <> 'impression'), 0
        )::bigint AS neutral
    FROM kaireon_counts(:tenant_id, :timezone, :from_at, :to_at, 'answer')
    GROUP BY 1
) AS counted
LEFT JOIN entities AS named
    ON named.tenant_id = :tenant_id AND named.kind = :kind AND named.id::text = counted.subject
WHERE counted.subject IS NOT NULL
ORDER BY counted.total DESC, counted.subject
LIMIT :limit OFFSET :offset;

-- name: customer_summary
-- The same by customer, of the latest interactions.
SELECT counted.*, counted.subject AS key, NULL AS name, count(*) OVER () AS group_count
FROM (
    SELECT
        customer_id AS subject,
        count(*) FILTER (WHERE outcome_key = 'impression') AS impression,
        count(*) FILTER (WHERE outcome_key = 'click') AS click,
        count(*) FILTER (WHERE outcome_key = 'dismiss') AS dismiss,
        count(*) FILTER (WHERE outcome_key = 'accept') AS accept,
        count(*) FILTER (WHERE outcome_key = 'convert') AS convert, count(*) AS total,
        count(*) FILTER (WHERE classification = 'positive') AS positive,
        count(*) FILTER (WHERE classification = 'negative') AS negative,
        count(*) FILTER (WHERE classification = 'neutral' AND outcome_key <> 'impression') AS neutral
    FROM (
        SELECT customer_id, outcome_key, classification FROM interactions
        WHERE tenant_id = :tenant_id AND kind <> 'event' AND occurred_at >= :from_at AND occurred_at < :to_at
        ORDER BY occurred_at DESC
        LIMIT :most_interactions
    ) AS latest
    GROUP BY customer_id
) AS counted
ORDER BY counted.total DESC, counted.subject
LIMIT :limit OFFSET :offset;
