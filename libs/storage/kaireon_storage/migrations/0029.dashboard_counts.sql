-- What dashboards show, counted by day as it comes in: nobody counts millions of rows when somebody looks.
-- depends: 0028.shared_runs

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Up to which instant a tenant's rows are counted; rows from there on are counted by whoever looks.
CREATE TABLE dashboard_progress (
    tenant_id uuid PRIMARY KEY REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    counted_to timestamptz NOT NULL
);
CALL kaireon_protect('dashboard_progress');

-- Rows that were written when rows of their instant may have been counted. Written with the row that it names; who
-- counts it deletes it.
CREATE TABLE late_rows (
    tenant_id uuid NOT NULL,
    source text NOT NULL CHECK (source IN ('decision', 'interaction')),
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    PRIMARY KEY (tenant_id, source, at, id)
);
CALL kaireon_protect('late_rows');

-- By day of the tenant's zone. 00000000-... stands for "none", so that it can be a key. By fact:
-- decision: count; ranks: how many offers they recommend; outcome_key empty|filled, classification traced|untraced.
-- selection: an offer in a decision; amount and ranks are the sums of its scores and ranks.
-- answer: an interaction but for behavioural events; amount is the sum of conversion values.
CREATE TABLE dashboard_counts (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    day date NOT NULL,
    fact text NOT NULL CHECK (fact IN ('decision', 'selection', 'answer')),
    offer_id uuid NOT NULL,
    creative_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    outcome_key text NOT NULL,
    classification text NOT NULL,
    count bigint NOT NULL,
    amount double precision NOT NULL,
    ranks bigint NOT NULL,
    PRIMARY KEY (tenant_id, fact, day, offer_id, creative_id, channel_id, outcome_key, classification)
);
CALL kaireon_protect('dashboard_counts');

-- Who was decided for (decision) and who was shown something or answered (answer) on a day: the hashes below a bound, all
-- of them while there is none. Sketches of any days make one of all: the hashes below the least bound (Bar-Yossef and
-- others 2002; Beyer and others 2007; with a bound of its own per sketch: Dasgupta and others 2016, Theta sketches).
CREATE TABLE dashboard_sketches (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    day date NOT NULL,
    fact text NOT NULL CHECK (fact IN ('decision', 'answer')),
    bound bigint,
    hashes bigint [] NOT NULL,
    PRIMARY KEY (tenant_id, fact, day)
);
CALL kaireon_protect('dashboard_sketches');

-- The facts in rows of [from_at, to_at), and in rows that are marked as late of [late_from, late_to). Inlined.
CREATE FUNCTION kaireon_facts(
    tenant uuid, zone text, late_from timestamptz, late_to timestamptz, from_at timestamptz, to_at timestamptz
) RETURNS TABLE (
    day date, fact text, offer_id uuid, creative_id uuid, channel_id uuid, outcome_key text, classification text,
    amount double precision, rank bigint, customer_id text
)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT (d.decided_at AT TIME ZONE zone)::date, found.fact, found.offer_id, NULL::uuid, NULL::uuid,
        found.outcome_key, found.classification, found.amount, found.rank, d.customer_id
    FROM (
        SELECT decided_at, customer_id, offer_ids, scores, content IS NOT NULL AS is_traced
        FROM decision_traces
        WHERE tenant_id = tenant AND decided_at >= from_at AND decided_at < to_at
        UNION ALL
        SELECT t.decided_at, t.customer_id, t.offer_ids, t.scores, t.content IS NOT NULL
        FROM late_rows AS late
        JOIN decision_traces AS t
            ON t.tenant_id = late.tenant_id AND t.decided_at = late.at AND t.recommendation_id = late.id
        WHERE late.tenant_id = tenant AND late.source = 'decision' AND late.at >= late_from AND late.at < late_to
    ) AS d
    CROSS JOIN LATERAL (
        SELECT 'decision', NULL::uuid, CASE d.offer_ids WHEN '{}' THEN 'empty' ELSE 'filled' END,
            CASE WHEN d.is_traced THEN 'traced' ELSE 'untraced' END, 0::double precision,
            cardinality(d.offer_ids)::bigint
        UNION ALL
        SELECT 'selection', item.offer_id, '', '', item.score, item.rank
        FROM unnest(d.offer_ids, d.scores) WITH ORDINALITY AS item (offer_id, score, rank)
    ) AS found (fact, offer_id, outcome_key, classification, amount, rank)
    UNION ALL
    SELECT (occurred_at AT TIME ZONE zone)::date, 'answer', offer_id, creative_id, channel_id,
        coalesce(outcome_key, ''), coalesce(classification, ''), coalesce(conversion_value, 0), 0::bigint, customer_id
    FROM interactions
    WHERE tenant_id = tenant AND kind <> 'event' AND occurred_at >= from_at AND occurred_at < to_at
    UNION ALL
    SELECT (i.occurred_at AT TIME ZONE zone)::date, 'answer', i.offer_id, i.creative_id, i.channel_id,
        coalesce(i.outcome_key, ''), coalesce(i.classification, ''), coalesce(i.conversion_value, 0), 0::bigint,
        i.customer_id
    FROM late_rows AS late
    JOIN interactions AS i ON i.tenant_id = late.tenant_id AND i.occurred_at = late.at AND i.id = late.id
    WHERE late.tenant_id = tenant AND late.source = 'interaction' AND late.at >= late_from AND late.at < late_to
        AND i.kind <> 'event'
$$;

-- How often there was what, by day: what is counted, and the rows that are not. Planned with the instants at hand: from
-- the last minute to three months may have to be read.
CREATE FUNCTION kaireon_counts(tenant uuid, zone text, from_at timestamptz, to_at timestamptz, wanted text)
RETURNS TABLE (
    day date, offer_id uuid, creative_id uuid, channel_id uuid, outcome_key text, classification text, count bigint,
    amount double precision, ranks bigint
)
LANGUAGE plpgsql STABLE SET plan_cache_mode = 'force_custom_plan' AS $$
#variable_conflict use_column
DECLARE
    none CONSTANT uuid := '00000000-0000-0000-0000-000000000000';
    raw_from timestamptz := greatest(
        from_at, (SELECT counted_to FROM dashboard_progress WHERE dashboard_progress.tenant_id = tenant));
BEGIN
    RETURN QUERY
    SELECT kept.day, nullif(kept.offer_id, none), nullif(kept.creative_id, none), nullif(kept.channel_id, none),
        kept.outcome_key, kept.classification, kept.count, kept.amount, kept.ranks
    FROM dashboard_counts AS kept
    WHERE kept.tenant_id = tenant AND kept.fact = wanted
        AND kept.day >= (from_at AT TIME ZONE zone)::date AND kept.day < (to_at AT TIME ZONE zone)::date
    UNION ALL
    SELECT f.day, f.offer_id, f.creative_id, f.channel_id, f.outcome_key, f.classification, count(*), sum(f.amount),
        sum(f.rank)::bigint
    FROM kaireon_facts(tenant, zone, from_at, raw_from, raw_from, to_at) AS f
    WHERE f.fact = wanted
    GROUP BY f.day, f.offer_id, f.creative_id, f.channel_id, f.outcome_key, f.classification;
END
$$;

-- The answers among them, by what dashboards tell apart. Inlined.
CREATE FUNCTION kaireon_answers(tenant uuid, zone text, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (
    day date, offer_id uuid, channel_id uuid, impressions bigint, positive bigint, negative bigint, conversions bigint,
    revenue double precision
)
LANGUAGE sql STABLE AS $$
    SELECT day, offer_id, channel_id, CASE outcome_key WHEN 'impression' THEN count ELSE 0 END,
        CASE classification WHEN 'positive' THEN count ELSE 0 END,
        CASE classification WHEN 'negative' THEN count ELSE 0 END,
        CASE outcome_key WHEN 'convert' THEN count ELSE 0 END, amount
    FROM kaireon_counts(tenant, zone, from_at, to_at, 'answer')
$$;

-- How many customers there were: exact where no sketch has a bound, else what the hashes below the least one stand for.
CREATE FUNCTION kaireon_customers(tenant uuid, zone text, from_at timestamptz, to_at timestamptz, wanted text)
RETURNS bigint
LANGUAGE plpgsql STABLE SET plan_cache_mode = 'force_custom_plan' AS $$
DECLARE
    first_day CONSTANT date := (from_at AT TIME ZONE zone)::date;
    end_day CONSTANT date := (to_at AT TIME ZONE zone)::date;
    raw_from timestamptz := greatest(
        from_at, (SELECT counted_to FROM dashboard_progress WHERE tenant_id = tenant));
    least_bound bigint;
    hash_count bigint;
BEGIN
    SELECT min(bound) INTO least_bound
    FROM dashboard_sketches
    WHERE tenant_id = tenant AND fact = wanted AND day >= first_day AND day < end_day;
    SELECT count(DISTINCT hash) INTO hash_count
    FROM (
        SELECT unnest(hashes)
        FROM dashboard_sketches
        WHERE tenant_id = tenant AND fact = wanted AND day >= first_day AND day < end_day
        UNION ALL
        SELECT hashtextextended(customer_id, 0)
        FROM kaireon_facts(tenant, zone, from_at, raw_from, raw_from, to_at) AS f
        WHERE f.fact = wanted
    ) AS seen (hash)
    WHERE least_bound IS NULL OR hash < least_bound;
    -- Hashes are spread evenly over all 64-bit numbers.
    RETURN CASE WHEN least_bound IS NULL THEN hash_count
        ELSE round(hash_count / ((least_bound + 2::double precision ^ 63) / 2::double precision ^ 64)) END;
END
$$;
