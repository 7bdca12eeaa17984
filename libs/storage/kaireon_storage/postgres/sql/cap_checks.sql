-- Checking afterwards whether answers kept to the caps of contact policies: see `0032.cap_checks`.

-- name: allow_long_statement^
-- A slice of a tenant whose customers have long histories takes seconds.
SELECT set_config('statement_timeout', '60s', true);

-- name: begin!
-- Begin with what is answered from now on, unless it was begun. Begin anew once answers of the old zone are no longer
-- made, and where the clock was set back. What has waited too long is left out.
INSERT INTO cap_checks AS known (tenant_id, checked_to, timezone)
SELECT tenant_id, :settled_at, coalesce(settings ->> 'timezone', 'UTC') FROM tenants WHERE tenant_id = :tenant_id
ON CONFLICT (tenant_id) DO UPDATE
    SET timezone = excluded.timezone,
        checked_to = CASE
            WHEN known.timezone = excluded.timezone AND known.checked_to < :oldest::timestamptz THEN :oldest
            ELSE :now::timestamptz + :settle::interval
        END
    WHERE known.timezone <> excluded.timezone OR known.checked_to > :now::timestamptz + 2 * :settle::interval
        OR known.checked_to < :oldest;

-- name: hold_if_free^
-- Keep others from checking until the transaction ends; nothing where somebody else is at it.
SELECT checked_to, timezone FROM cap_checks WHERE tenant_id = :tenant_id FOR UPDATE SKIP LOCKED;

-- name: next_slice^
-- Up to where to check: about so many answers.
SELECT greatest(:checked_to::timestamptz, least(
    :settled_at::timestamptz,
    (
        SELECT greatest(decided_at, :checked_to::timestamptz + interval '1 second')
        FROM decision_traces
        WHERE tenant_id = :tenant_id AND decided_at >= :checked_to AND decided_at < :settled_at
        ORDER BY decided_at OFFSET :most LIMIT 1
    )
)) AS to_at;

-- name: configured_at^
-- Since when policies and flows are as they are now.
SELECT greatest(
    (
        SELECT max(updated_at) FROM entities
        WHERE tenant_id = :tenant_id AND kind IN ('contact_policy', 'decision_flow')
    ),
    (SELECT max(published_at) FROM flow_versions WHERE tenant_id = :tenant_id)
) AS at;

-- name: policies
-- The policies that may cap, and those that may free from caps.
SELECT id::text, key, name, status, body
FROM entities
WHERE tenant_id = :tenant_id AND kind = 'contact_policy' AND deleted_at IS NULL AND status = 'active'
    AND body ->> 'ruleType' IN ('frequency_cap', 'cross_channel_cap', 'customer_total_cap', 'allow_override');

-- name: flows
-- What is published of every flow.
SELECT DISTINCT ON (version.flow_id) version.flow_id::text AS id, flow.key, version.config
FROM flow_versions AS version
JOIN entities AS flow
    ON flow.tenant_id = version.tenant_id AND flow.kind = 'decision_flow' AND flow.id = version.flow_id
WHERE version.tenant_id = :tenant_id AND flow.deleted_at IS NULL
ORDER BY version.flow_id ASC, version.version DESC;

-- name: places
-- What scopes of policies may mean.
SELECT
    kind, id::text, key, body ->> 'categoryId' AS category_id, body ->> 'subCategoryId' AS sub_category_id,
    body ->> 'placementId' AS placement_id
FROM entities
WHERE tenant_id = :tenant_id AND kind IN ('offer', 'creative', 'channel') AND deleted_at IS NULL;

-- name: violations
-- The offers in the answers of [checked_to, to_at) that a cap should have kept out, by policy. What counts is what
-- answers put on channels that count it as shown, as far back as windows reach.
--
-- Commits of one customer are in line, but their instants may not be. Of the answers that a cap bound, the last one
-- committed saw all others of its window: if they are too many, it was wrong. What the cap did not bind counts where it
-- was surely committed before, `settle` earlier. An answer is held to what has been configured for as long.
WITH cap AS MATERIALIZED (
    SELECT *
    FROM jsonb_to_recordset(:caps) AS given (
        number integer, since timestamptz, policy_id uuid, rule_type text, maximum bigint, period text, seconds double precision,
        is_per_offer boolean, spares_mandatory boolean, flow_ids uuid [], bound_everywhere boolean, bound_ids jsonb,
        counted_everywhere boolean, counted_ids jsonb, freed_everywhere boolean, freed_ids jsonb
    )
), decided AS MATERIALIZED (
    SELECT DISTINCT customer_id
    FROM decision_traces
    WHERE tenant_id = :tenant_id AND decided_at >= :checked_to AND decided_at < :to_at AND offer_ids <> '{}'
), shown AS MATERIALIZED (
    SELECT
        trace.customer_id, trace.decided_at, trace.recommendation_id, trace.flow_id, item.rank, item.offer_id,
        ARRAY[item.offer_id::text, item.creative_id::text, item.channel_id::text] AS place,
        greatest(offer.updated_at, creative.updated_at, channel.updated_at) + :settle::interval AS steady_at,
        coalesce(offer.mandatory = 'true', false) AS is_mandatory
    FROM decided
    -- OFFSET 0 keeps the order: by customer and by key, however few rows the planner expects.
    CROSS JOIN LATERAL (
        SELECT decided_at, customer_id, recommendation_id, flow_id, offer_ids, creative_ids, channel_ids
        FROM decision_traces
        WHERE tenant_id = :tenant_id AND customer_id = decided.customer_id
            AND decided_at >= :since AND decided_at < :to_at AND offer_ids <> '{}'
        OFFSET 0
    ) AS trace
    CROSS JOIN LATERAL unnest(trace.offer_ids, trace.creative_ids, trace.channel_ids)
        WITH ORDINALITY AS item (offer_id, creative_id, channel_id, rank)
    CROSS JOIN LATERAL (
        SELECT updated_at FROM entities
        WHERE tenant_id = :tenant_id AND kind = 'channel' AND id = item.channel_id
            AND body ->> 'impressionMode' = 'implicit'
        OFFSET 0
    ) AS channel
    CROSS JOIN LATERAL (
        SELECT updated_at, body ->> 'mandatory' AS mandatory FROM entities
        WHERE tenant_id = :tenant_id AND kind = 'offer' AND id = item.offer_id
        OFFSET 0
    ) AS offer
    LEFT JOIN LATERAL (
        SELECT updated_at FROM entities
        WHERE tenant_id = :tenant_id AND kind = 'creative' AND id = item.creative_id
        OFFSET 0
    ) AS creative ON true
), counted AS MATERIALIZED (
    SELECT
        shown.customer_id, shown.decided_at, shown.recommendation_id, shown.rank, shown.offer_id, shown.steady_at,
        cap.number,
        (cap.bound_everywhere OR cap.bound_ids ?| shown.place)
            AND NOT (cap.freed_everywhere OR cap.freed_ids ?| shown.place)
            AND NOT (cap.spares_mandatory AND shown.is_mandatory)
            AND shown.flow_id = ANY(cap.flow_ids)
            AND shown.decided_at >= shown.steady_at AND shown.decided_at >= :bound_from AS is_bound
    FROM shown
    JOIN cap ON shown.decided_at >= cap.since AND (cap.counted_everywhere OR cap.counted_ids ?| shown.place)
), history AS (
    -- Of each customer by itself, and only where there is anything to find: nothing here is compared across customers.
    SELECT
        number, customer_id, array_agg(decided_at) AS decided_at, array_agg(recommendation_id) AS recommendation_id,
        array_agg(rank) AS rank, array_agg(offer_id) AS offer_id, array_agg(steady_at) AS steady_at,
        array_agg(is_bound) AS is_bound
    FROM counted
    GROUP BY number, customer_id
    HAVING bool_or(is_bound AND decided_at >= :checked_to)
        AND count(*) > (SELECT maximum FROM cap WHERE cap.number = counted.number)
), beyond AS (
    SELECT DISTINCT cap.policy_id, cap.rule_type, one.recommendation_id, one.rank
    FROM history
    JOIN cap USING (number)
    CROSS JOIN LATERAL unnest(
        history.decided_at, history.recommendation_id, history.rank, history.offer_id, history.is_bound
    ) AS one (decided_at, recommendation_id, rank, offer_id, is_bound)
    CROSS JOIN LATERAL (
        SELECT count(*) AS count
        FROM unnest(
            history.decided_at, history.recommendation_id, history.rank, history.offer_id, history.is_bound,
            history.steady_at
        ) AS other (decided_at, recommendation_id, rank, offer_id, is_bound, steady_at)
        WHERE (NOT cap.is_per_offer OR other.offer_id = one.offer_id)
            AND other.steady_at <= one.decided_at
            AND CASE
                WHEN cap.period IS NOT NULL
                    THEN other.decided_at >= date_trunc(cap.period, one.decided_at, :timezone::text)
                WHEN cap.seconds IS NOT NULL THEN other.decided_at > one.decided_at - make_interval(secs => cap.seconds)
                ELSE true
            END
            AND CASE
                WHEN other.is_bound
                    THEN (other.decided_at, other.recommendation_id, other.rank)
                        <= (one.decided_at, one.recommendation_id, one.rank)
                ELSE other.decided_at < one.decided_at - :settle::interval
            END
    ) AS others
    WHERE one.is_bound AND one.decided_at >= :checked_to AND others.count > cap.maximum
)
SELECT policy_id, rule_type, count(*) AS count, min(recommendation_id::text)::uuid AS recommendation_id
FROM beyond
GROUP BY policy_id, rule_type
ORDER BY policy_id;

-- name: add_violations!
-- Count so many more.
INSERT INTO cap_violations AS known (rule_type, count) VALUES (:rule_type, :count)
ON CONFLICT (rule_type) DO UPDATE SET count = known.count + excluded.count;

-- name: progress!
-- Note up to where is checked.
UPDATE cap_checks SET checked_to = :to_at WHERE tenant_id = :tenant_id;

-- name: counted_violations
-- How many offers ever went beyond a cap, by the type of its policy.
SELECT rule_type, count FROM cap_violations ORDER BY rule_type;

-- name: lag^
-- For how long the answers have waited that have waited longest to be checked; null where nobody checks. System role.
SELECT max(greatest(0, extract(epoch FROM clock_timestamp() - checked_to)))::float AS seconds FROM cap_checks;
