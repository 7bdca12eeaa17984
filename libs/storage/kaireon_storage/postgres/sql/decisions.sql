-- name: commit_decisions
-- Everything that the decisions of one tenant write, for those customers that are still at the expected version.
-- What a decision recommends is given as array literals, one element per rank.
WITH change AS (
    SELECT *
    FROM unnest(
        :customer_ids::text[], :expected_versions::bigint[], :sequence_counts::bigint[], :decision_ids::uuid[],
        :decided_at_ms::double precision[], :flow_ids::uuid[], :flow_versions::integer[], :offer_ids::text[],
        :creative_ids::text[], :channel_ids::text[], :placement_ids::text[], :scores::text[], :details::text[],
        :legend_hashes::bytea[], :snapshot_hashes::bytea[], :contents::bytea[], :experiment_keys::text[],
        :variants::text[], :features::text[]
    ) WITH ORDINALITY AS given (
        customer_id, expected_version, sequence_count, decision_id, decided_at_ms, flow_id, flow_version, offer_ids,
        creative_ids, channel_ids, placement_ids, scores, details, legend_hash, snapshot_hash, content,
        experiment_key, variant, features, number
    )
), won AS (
    INSERT INTO customers AS customer (tenant_id, customer_id, version, sequence)
    SELECT :tenant_id::uuid, customer_id, expected_version + 1, sequence_count
    FROM change
    ORDER BY customer_id
    ON CONFLICT (tenant_id, customer_id) DO UPDATE
        SET version = excluded.version, sequence = customer.sequence + excluded.sequence
        WHERE customer.version = excluded.version - 1
    RETURNING customer_id, sequence
), winner AS (
    SELECT change.*, won.sequence - change.sequence_count AS sequence, to_timestamp(decided_at_ms / 1000) AS decided_at
    FROM change JOIN won USING (customer_id)
), new_trace AS (
    INSERT INTO decision_traces (
        tenant_id, recommendation_id, decided_at, customer_id, flow_id, flow_version, offer_ids, creative_ids,
        channel_ids, placement_ids, scores, details, legend_hash, snapshot_hash, content, experiment_key, variant,
        features
    )
    SELECT
        :tenant_id::uuid, decision_id, decided_at, customer_id, flow_id, flow_version, offer_ids::uuid[],
        creative_ids::uuid[], channel_ids::uuid[], placement_ids::uuid[], scores::double precision[], details::jsonb,
        legend_hash, snapshot_hash, content, experiment_key, variant, features::jsonb
    FROM winner
), new_impression AS (
    INSERT INTO interactions (
        tenant_id, id, occurred_at, customer_id, kind, outcome_key, classification, direction, offer_id, creative_id,
        channel_id, placement_id, recommendation_id, rank, score, details
    )
    SELECT
        :tenant_id::uuid, given.id, winner.decided_at, winner.customer_id, 'impression', 'impression', 'neutral',
        'outbound', given.offer_id, given.creative_id, given.channel_id, given.placement_id, winner.decision_id,
        given.rank, given.score, winner.details::jsonb
    FROM unnest(
        :i_number::bigint[], :i_id::uuid[], :i_offer_id::uuid[], :i_creative_id::uuid[], :i_channel_id::uuid[],
        :i_placement_id::uuid[], :i_rank::smallint[], :i_score::double precision[]
    ) AS given (number, id, offer_id, creative_id, channel_id, placement_id, rank, score)
    JOIN winner USING (number)
), new_mark AS (
    INSERT INTO interaction_marks (tenant_id, customer_id, id, occurred_at, due_at)
    SELECT :tenant_id::uuid, winner.customer_id, given.id, winner.decided_at, now()
    FROM unnest(:m_number::bigint[], :m_id::uuid[]) AS given (number, id)
    JOIN winner USING (number)
), new_late AS (
    -- Rows of their instant may have been counted for dashboards: see `0029.dashboard_counts`.
    INSERT INTO late_rows (tenant_id, source, at, id)
    SELECT :tenant_id::uuid, given.source, winner.decided_at, given.id
    FROM unnest(:n_number::bigint[], :n_source::text[], :n_id::uuid[]) AS given (number, source, id)
    JOIN winner USING (number)
), new_summary AS (
    INSERT INTO interaction_summaries AS summary (
        tenant_id, customer_id, offer_id, creative_id, channel_id, period_type, period_key, impressions,
        last_contact_at, last_outcome_key, direction
    )
    SELECT
        :tenant_id::uuid, winner.customer_id,
        coalesce(given.offer_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(given.creative_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(given.channel_id, '00000000-0000-0000-0000-000000000000'),
        period.type, CASE period.type WHEN 'daily' THEN given.day ELSE 'alltime' END, given.impressions,
        winner.decided_at, 'impression', 'outbound'
    FROM unnest(
        :s_number::bigint[], :s_day::text[], :s_offer_id::uuid[], :s_creative_id::uuid[], :s_channel_id::uuid[],
        :s_impressions::integer[]
    ) AS given (number, day, offer_id, creative_id, channel_id, impressions)
    JOIN winner USING (number)
    CROSS JOIN (VALUES ('daily'), ('alltime')) AS period (type)
    ON CONFLICT (tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id) DO UPDATE
        SET impressions = summary.impressions + excluded.impressions,
            last_contact_at = greatest(summary.last_contact_at, excluded.last_contact_at),
            last_outcome_key = excluded.last_outcome_key,
            direction = excluded.direction
), new_suppression AS (
    INSERT INTO suppressions AS suppression (
        tenant_id, customer_id, policy_id, scope, scope_id, policy_type, reason, expires_at
    )
    SELECT
        :tenant_id::uuid, winner.customer_id, given.policy_id, given.scope, given.scope_id, given.policy_type,
        given.reason, to_timestamp(given.expires_at_ms / 1000)
    FROM unnest(
        :x_number::bigint[], :x_policy_id::uuid[], :x_scope::text[], :x_scope_id::text[], :x_policy_type::text[],
        :x_reason::text[], :x_expires_at_ms::double precision[]
    ) AS given (number, policy_id, scope, scope_id, policy_type, reason, expires_at_ms)
    JOIN winner USING (number)
    ON CONFLICT (tenant_id, customer_id, policy_id, scope, scope_id) DO UPDATE
        SET trigger_count = suppression.trigger_count + 1,
            reason = excluded.reason,
            expires_at = greatest(suppression.expires_at, excluded.expires_at)
), new_tally AS (
    INSERT INTO tallies AS tally (tenant_id, kind, subject_id, period, amount, maximum)
    SELECT
        :tenant_id::uuid, given.kind, given.subject_id, given.period, sum(given.amount), min(given.maximum)
    FROM unnest(
        :t_number::bigint[], :t_kind::text[], :t_subject_id::uuid[], :t_period::text[], :t_amount::bigint[],
        :t_maximum::bigint[]
    ) AS given (number, kind, subject_id, period, amount, maximum)
    JOIN winner USING (number)
    GROUP BY given.kind, given.subject_id, given.period
    ORDER BY given.kind, given.subject_id, given.period
    ON CONFLICT (tenant_id, kind, subject_id, period) DO UPDATE
        SET amount = tally.amount + excluded.amount, maximum = excluded.maximum, updated_at = now()
), new_assignment AS (
    INSERT INTO variant_assignments (tenant_id, customer_id, experiment_key, variant, assigned_at, expires_at)
    SELECT
        :tenant_id::uuid, winner.customer_id, given.experiment_key, given.variant, winner.decided_at,
        to_timestamp(given.expires_at_ms / 1000)
    FROM unnest(:v_number::bigint[], :v_experiment_key::text[], :v_variant::text[], :v_expires_at_ms::double precision[])
        AS given (number, experiment_key, variant, expires_at_ms)
    JOIN winner USING (number)
    ON CONFLICT (tenant_id, customer_id, experiment_key) DO UPDATE
        SET variant = excluded.variant, assigned_at = excluded.assigned_at, expires_at = excluded.expires_at
), new_key AS (
    INSERT INTO idempotency_keys (tenant_id, key, body_hash, response)
    SELECT :tenant_id::uuid, given.key, given.body_hash, given.response
    FROM unnest(:k_number::bigint[], :k_key::text[], :k_body_hash::bytea[], :k_answer::text[])
        AS given (number, key, body_hash, response)
    JOIN winner USING (number)
), new_event AS (
    INSERT INTO outbox_events (id, tenant_id, type, key, traceparent, payload)
    SELECT
        given.id, :tenant_id::uuid, given.type, winner.customer_id, given.traceparent,
        CASE
            WHEN given.sequence_offset IS NULL THEN given.payload::jsonb
            ELSE given.payload::jsonb || jsonb_build_object('sequence', winner.sequence + given.sequence_offset)
        END
    FROM unnest(
        :e_number::bigint[], :e_id::uuid[], :e_type::text[], :e_payload::text[], :e_sequence_offset::bigint[],
        :e_traceparent::text[]
    ) WITH ORDINALITY AS given (number, id, type, payload, sequence_offset, traceparent, place)
    JOIN winner USING (number)
    ORDER BY given.place
)
SELECT number FROM winner;

-- name: commit_responses
-- Everything that responses to one tenant write, for those idempotency keys that were not used before.
WITH response AS (
    SELECT customer_id, key, body_hash, answer, number
    FROM unnest(:customer_ids::text[], :k_key::text[], :k_body_hash::bytea[], :k_answer::text[])
        WITH ORDINALITY AS given (customer_id, key, body_hash, answer, number)
), claimed AS (
    INSERT INTO idempotency_keys (tenant_id, key, body_hash, response)
    SELECT :tenant_id::uuid, key, body_hash, answer FROM response ORDER BY key
    ON CONFLICT (tenant_id, key) DO NOTHING
    RETURNING key
), change AS (
    SELECT response.number, response.customer_id FROM response JOIN claimed USING (key)
), raised AS (
    INSERT INTO customers AS customer (tenant_id, customer_id, version, sequence)
    SELECT :tenant_id::uuid, customer_id, 1, 1 FROM change ORDER BY customer_id
    ON CONFLICT (tenant_id, customer_id) DO UPDATE
        SET version = customer.version + 1, sequence = customer.sequence + 1
    RETURNING customer_id, sequence
), winner AS (
    SELECT change.number, change.customer_id, raised.sequence FROM change JOIN raised USING (customer_id)
), new_interaction AS (
    INSERT INTO interactions (
        tenant_id, id, occurred_at, customer_id, kind, outcome_key, classification, direction, offer_id, creative_id,
        channel_id, placement_id, recommendation_id, rank, conversion_value, details
    )
    SELECT
        :tenant_id::uuid, given.id, to_timestamp(given.occurred_at_ms / 1000), winner.customer_id, given.kind,
        given.outcome_key, given.classification, given.direction, given.offer_id, given.creative_id, given.channel_id,
        given.placement_id, given.recommendation_id, given.rank, given.conversion_value, given.details::jsonb
    FROM unnest(
        :i_number::bigint[], :i_id::uuid[], :i_occurred_at_ms::double precision[], :i_kind::text[],
        :i_outcome_key::text[], :i_classification::text[], :i_direction::text[], :i_offer_id::uuid[],
        :i_creative_id::uuid[], :i_channel_id::uuid[], :i_placement_id::uuid[], :i_recommendation_id::uuid[],
        :i_rank::smallint[], :i_conversion_value::double precision[], :i_details::text[]
    ) AS given (
        number, id, occurred_at_ms, kind, outcome_key, classification, direction, offer_id, creative_id, channel_id,
        placement_id, recommendation_id, rank, conversion_value, details
    )
    JOIN winner USING (number)
), new_mark AS (
    -- Who has recorded it writes it at once: it is nobody else's business for a while.
    INSERT INTO interaction_marks (tenant_id, customer_id, id, occurred_at, due_at)
    SELECT
        :tenant_id::uuid, winner.customer_id, given.id, to_timestamp(given.occurred_at_ms / 1000),
        now() + interval '10 seconds'
    FROM unnest(:m_number::bigint[], :m_id::uuid[], :m_occurred_at_ms::double precision[])
        AS given (number, id, occurred_at_ms)
    JOIN winner USING (number)
), new_late AS (
    -- Rows of their instant may have been counted for dashboards: see `0029.dashboard_counts`.
    INSERT INTO late_rows (tenant_id, source, at, id)
    SELECT :tenant_id::uuid, 'interaction', to_timestamp(given.occurred_at_ms / 1000), given.id
    FROM unnest(:n_number::bigint[], :n_id::uuid[], :n_occurred_at_ms::double precision[])
        AS given (number, id, occurred_at_ms)
    JOIN winner USING (number)
), new_summary AS (
    INSERT INTO interaction_summaries AS summary (
        tenant_id, customer_id, offer_id, creative_id, channel_id, period_type, period_key, impressions, positive,
        negative, neutral, converts, total_value, last_contact_at, last_outcome_key, direction
    )
    SELECT
        :tenant_id::uuid, winner.customer_id,
        coalesce(given.offer_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(given.creative_id, '00000000-0000-0000-0000-000000000000'),
        coalesce(given.channel_id, '00000000-0000-0000-0000-000000000000'),
        period.type, CASE period.type WHEN 'daily' THEN given.day ELSE 'alltime' END,
        given.impressions, given.positive, given.negative, given.neutral, given.converts, given.value,
        to_timestamp(given.last_contact_ms / 1000), given.outcome_key, given.direction
    FROM unnest(
        :s_number::bigint[], :s_day::text[], :s_offer_id::uuid[], :s_creative_id::uuid[], :s_channel_id::uuid[],
        :s_impressions::integer[], :s_positive::integer[], :s_negative::integer[], :s_neutral::integer[],
        :s_converts::integer[], :s_value::double precision[], :s_last_contact_ms::double precision[],
        :s_outcome_key::text[], :s_direction::text[]
    ) AS given (
        number, day, offer_id, creative_id, channel_id, impressions, positive, negative, neutral, converts, value,
        last_contact_ms, outcome_key, direction
    )
    JOIN winner USING (number)
    CROSS JOIN (VALUES ('daily'), ('alltime')) AS period (type)
    ON CONFLICT (tenant_id, customer_id, period_type, period_key, offer_id, creative_id, channel_id) DO UPDATE
        SET impressions = summary.impressions + excluded.impressions,
            positive = summary.positive + excluded.positive,
            negative = summary.negative + excluded.negative,
            neutral = summary.neutral + excluded.neutral,
            converts = summary.converts + excluded.converts,
            total_value = summary.total_value + excluded.total_value,
            last_contact_at = greatest(summary.last_contact_at, excluded.last_contact_at),
            last_outcome_key = excluded.last_outcome_key,
            direction = excluded.direction
), new_suppression AS (
    INSERT INTO suppressions AS suppression (
        tenant_id, customer_id, policy_id, scope, scope_id, policy_type, reason, expires_at
    )
    SELECT
        :tenant_id::uuid, winner.customer_id, given.policy_id, given.scope, given.scope_id, given.policy_type,
        given.reason, to_timestamp(given.expires_at_ms / 1000)
    FROM unnest(
        :x_number::bigint[], :x_policy_id::uuid[], :x_scope::text[], :x_scope_id::text[], :x_policy_type::text[],
        :x_reason::text[], :x_expires_at_ms::double precision[]
    ) AS given (number, policy_id, scope, scope_id, policy_type, reason, expires_at_ms)
    JOIN winner USING (number)
    ON CONFLICT (tenant_id, customer_id, policy_id, scope, scope_id) DO UPDATE
        SET trigger_count = suppression.trigger_count + 1,
            reason = excluded.reason,
            expires_at = greatest(suppression.expires_at, excluded.expires_at)
), new_tally AS (
    INSERT INTO tallies AS tally (tenant_id, kind, subject_id, period, amount, maximum)
    SELECT
        :tenant_id::uuid, given.kind, given.subject_id, given.period, sum(given.amount), min(given.maximum)
    FROM unnest(
        :t_number::bigint[], :t_kind::text[], :t_subject_id::uuid[], :t_period::text[], :t_amount::bigint[],
        :t_maximum::bigint[]
    ) AS given (number, kind, subject_id, period, amount, maximum)
    JOIN winner USING (number)
    GROUP BY given.kind, given.subject_id, given.period
    ORDER BY given.kind, given.subject_id, given.period
    ON CONFLICT (tenant_id, kind, subject_id, period) DO UPDATE
        SET amount = tally.amount + excluded.amount, maximum = excluded.maximum, updated_at = now()
), new_evidence AS (
    INSERT INTO adaptations AS evidence (tenant_id, offer_id, channel_id, positive, negative)
    SELECT
        :tenant_id::uuid, given.offer_id, coalesce(given.channel_id, '00000000-0000-0000-0000-000000000000'),
        sum(given.positive), sum(given.negative)
    FROM unnest(
        :a_number::bigint[], :a_offer_id::uuid[], :a_channel_id::uuid[], :a_positive::bigint[], :a_negative::bigint[]
    ) AS given (number, offer_id, channel_id, positive, negative)
    JOIN winner USING (number)
    GROUP BY 2, 3
    ORDER BY 2, 3
    ON CONFLICT (tenant_id, offer_id, channel_id) DO UPDATE
        SET positive = evidence.positive + excluded.positive, negative = evidence.negative + excluded.negative
), new_lesson AS (
    INSERT INTO learned_sums AS learned (tenant_id, model_id, generation, subject, first, second)
    SELECT
        :tenant_id::uuid, given.model_id, given.generation, given.subject, sum(given.first), sum(given.second)
    FROM unnest(
        :l_number::bigint[], :l_model_id::uuid[], :l_generation::integer[], :l_subject::text[], :l_first::numeric[],
        :l_second::numeric[]
    ) AS given (number, model_id, generation, subject, first, second)
    JOIN winner USING (number)
    GROUP BY 2, 3, 4
    ORDER BY 2, 3, 4
    ON CONFLICT (tenant_id, model_id, generation, subject) DO UPDATE
        SET first = learned.first + excluded.first, second = learned.second + excluded.second
), new_step AS (
    INSERT INTO learned_weights AS learned (tenant_id, model_id, generation, state, steps)
    SELECT
        :tenant_id::uuid, taken.model_id, taken.generation,
        -- Where there is a row this is not what becomes of it: its own state takes the steps below.
        CASE
            WHEN EXISTS (
                SELECT FROM learned_weights AS known
                WHERE known.tenant_id = :tenant_id::uuid AND known.model_id = taken.model_id
                    AND known.generation = taken.generation
            ) THEN taken.beginning
            ELSE kaireon_learn(taken.beginning, taken.steps)
        END,
        taken.steps
    FROM (
        SELECT
            given.model_id, given.generation, min(given.beginning)::jsonb AS beginning,
            jsonb_agg(given.step::jsonb ORDER BY given.number) AS steps
        FROM unnest(
            :w_number::bigint[], :w_model_id::uuid[], :w_generation::integer[], :w_beginning::text[], :w_step::text[]
        ) AS given (number, model_id, generation, beginning, step)
        JOIN winner USING (number)
        GROUP BY given.model_id, given.generation
    ) AS taken
    ORDER BY taken.model_id, taken.generation
    ON CONFLICT (tenant_id, model_id, generation) DO UPDATE
        SET state = kaireon_learn(learned.state, excluded.steps), steps = '[]'
), new_fact AS (
    INSERT INTO jobs (tenant_id, id, queue, type, payload)
    SELECT :tenant_id::uuid, given.id, 'journey-jobs', 'react_to_facts', given.payload::jsonb
    FROM unnest(:f_number::bigint[], :f_id::uuid[], :f_payload::text[]) AS given (number, id, payload)
    JOIN winner USING (number)
), new_event AS (
    INSERT INTO outbox_events (id, tenant_id, type, key, traceparent, payload)
    SELECT
        given.id, :tenant_id::uuid, given.type, winner.customer_id, given.traceparent,
        given.payload::jsonb || jsonb_build_object('sequence', winner.sequence)
    FROM unnest(:e_number::bigint[], :e_id::uuid[], :e_type::text[], :e_payload::text[], :e_traceparent::text[])
        AS given (number, id, type, payload, traceparent)
    JOIN winner USING (number)
    ORDER BY given.number
)
SELECT number FROM winner;

-- name: idempotent_answer^
-- The first answer under an idempotency key, with the hash of the body that asked for it.
SELECT body_hash, response AS answer
FROM idempotency_keys
WHERE tenant_id = :tenant_id AND key = :key;

-- name: store_snapshot!
-- Content-addressed: the same bytes are stored once; what is in use again counts as new, so clean-up leaves it alone.
INSERT INTO snapshots AS stored (tenant_id, hash, kind, content)
VALUES (:tenant_id, :hash, :kind, :content)
ON CONFLICT (tenant_id, hash) DO UPDATE SET created_at = now() WHERE stored.created_at < now() - interval '1 hour';

-- name: customer_versions
-- The commit version of each of these customers.
SELECT customer_id, version FROM customers WHERE tenant_id = :tenant_id AND customer_id = ANY(:customer_ids::text[]);

-- name: recent_contacts
-- Every impression of these customers from an instant on.
SELECT customer_id, offer_id::text, creative_id::text, channel_id::text,
    (extract(epoch FROM occurred_at) * 1000)::bigint AS at_ms
FROM interactions
WHERE tenant_id = :tenant_id AND customer_id = ANY(:customer_ids::text[])
    AND occurred_at >= to_timestamp(:since_ms::double precision / 1000) AND outcome_key = 'impression'
ORDER BY customer_id, occurred_at;

-- name: recent_outcomes
-- Everything else that these customers did from an instant on.
SELECT customer_id, offer_id::text, creative_id::text, channel_id::text,
    (extract(epoch FROM occurred_at) * 1000)::bigint AS at_ms, outcome_key,
    coalesce(classification IN ('positive', 'negative'), false) AS is_response
FROM interactions
WHERE tenant_id = :tenant_id AND customer_id = ANY(:customer_ids::text[])
    AND occurred_at >= to_timestamp(:since_ms::double precision / 1000) AND kind = 'outcome'
ORDER BY customer_id, occurred_at;

-- name: metric_values
-- Behavioural metrics of these customers, where they did anything that counts, and the first instant that counts.
-- `metrics` is an array of MetricQuery as JSON. What is no number is no part of a sum, mean or extreme, and numbers
-- beyond 1e300 count as that, so that no sum overflows.
WITH metric AS MATERIALIZED (
    SELECT given.*, to_timestamp((:now_ms::double precision - window_ms) / 1000) AS since
    FROM jsonb_to_recordset(:metrics) AS given (
        id text, aggregate text, source text[], window_ms double precision, filters jsonb, of_events boolean
    )
), condition AS MATERIALIZED (
    SELECT metric.id, given.path, given.operator, nullif(given.value, 'null') AS operand
    FROM metric
    CROSS JOIN LATERAL jsonb_to_recordset(metric.filters) AS given (path text[], operator text, value jsonb)
), done AS MATERIALIZED (
    SELECT
        i.customer_id, i.occurred_at, i.outcome_key, i.classification, i.direction, i.offer_id, i.creative_id, i.channel_id,
        i.placement_id, i.conversion_value, i.rank, i.score, offer.body AS offer, i.details, i.kind = 'event' AS is_event
    FROM interactions AS i
    LEFT JOIN entities AS offer
        ON offer.tenant_id = i.tenant_id AND offer.kind = 'offer' AND offer.id = i.offer_id
    WHERE i.tenant_id = :tenant_id AND i.customer_id = ANY(:customer_ids::text[])
        AND i.occurred_at > (SELECT min(coalesce(since, '-infinity')) FROM metric)
), counted AS (
    SELECT
        done.customer_id, metric.id, metric.aggregate, done.occurred_at, metric.source IS NULL AS is_whole,
        kaireon_field(
            metric.source, outcome_key, classification, direction, offer_id, creative_id, channel_id, placement_id,
            conversion_value, rank, score, offer, details
        ) AS given
    FROM metric
    JOIN done
        ON done.is_event = metric.of_events AND (metric.since IS NULL OR done.occurred_at > metric.since)
    WHERE NOT EXISTS (
        SELECT FROM condition
        WHERE condition.id = metric.id
            AND NOT kaireon_holds(
                kaireon_field(
                    condition.path, outcome_key, classification, direction, offer_id, creative_id, channel_id, placement_id,
                    conversion_value, rank, score, offer, details
                ), condition.operator, condition.operand
            )
    )
)
SELECT
    customer_id, id,
    coalesce(CASE aggregate
        WHEN 'count' THEN count(*) FILTER (WHERE is_whole OR given IS NOT NULL)
        WHEN 'sum' THEN sum(number)
        WHEN 'avg' THEN avg(number)
        WHEN 'min' THEN min(number)
        WHEN 'max' THEN max(number)
    END, 0)::double precision AS value,
    (extract(epoch FROM min(occurred_at)) * 1000)::bigint AS first_at_ms
FROM counted
CROSS JOIN LATERAL (
    SELECT CASE jsonb_typeof(given) WHEN 'number' THEN least(greatest(given::numeric, -1e300), 1e300) END AS number
) AS value
GROUP BY customer_id, id, aggregate;

-- name: contact_totals
-- All impressions of these customers ever, per offer, creative and channel.
SELECT customer_id, offer_id::text, creative_id::text, channel_id::text, impressions,
    (extract(epoch FROM last_contact_at) * 1000)::bigint AS at_ms
FROM interaction_summaries
WHERE tenant_id = :tenant_id AND customer_id = ANY(:customer_ids::text[])
    AND period_type = 'alltime' AND impressions > 0;

-- name: assignments
-- Which variant of an experiment these customers were assigned to, and until when.
SELECT customer_id, variant, (extract(epoch FROM expires_at) * 1000)::bigint AS until_ms
FROM variant_assignments
WHERE tenant_id = :tenant_id AND customer_id = ANY(:customer_ids::text[]) AND experiment_key = :experiment_key;

-- name: current_tallies
-- What is counted over all customers in these periods.
SELECT kind, subject_id::text, period, amount
FROM tallies
WHERE tenant_id = :tenant_id AND period = ANY(:periods::text[]) AND amount <> 0;

-- name: evidence
-- How customers answered each offer on each channel; of what was answered without one the channel is null.
SELECT
    offer_id::text, nullif(channel_id, '00000000-0000-0000-0000-000000000000')::text AS channel_id, positive, negative
FROM adaptations
WHERE tenant_id = :tenant_id;

-- name: learned_sums
-- What responses have taught these models in these generations: two sums for each subject.
SELECT learned.model_id::text, learned.subject, learned.first::double precision, learned.second::double precision
FROM learned_sums AS learned
JOIN unnest(:model_ids::uuid[], :generations::integer[]) AS wanted (model_id, generation) USING (model_id, generation)
WHERE learned.tenant_id = :tenant_id
ORDER BY learned.model_id, learned.subject;

-- name: learned_weights
-- The weights that responses have brought about in these models in these generations.
SELECT learned.model_id::text, learned.state
FROM learned_weights AS learned
JOIN unnest(:model_ids::uuid[], :generations::integer[]) AS wanted (model_id, generation) USING (model_id, generation)
WHERE learned.tenant_id = :tenant_id;

-- name: recommended_at^
-- What was recommended at a rank of a decision. The decision's instant is in its id, so the customer's index finds it.
SELECT offer_ids[:rank::integer], creative_ids[:rank::integer], channel_ids[:rank::integer],
    placement_ids[:rank::integer],
    (features -> 'customer' || (features -> 'offers' -> (:rank::integer - 1)))::text AS features
FROM decision_traces
WHERE tenant_id = :tenant_id AND customer_id = :customer_id
    AND decided_at = to_timestamp(:decided_at_ms::double precision / 1000)
    AND recommendation_id = :decision_id AND :rank::integer BETWEEN 1 AND cardinality(offer_ids);

-- name: hold_customer!
-- Lock a customer's row, made first where it is missing, so that nobody else can commit for the customer.
INSERT INTO customers AS customer (tenant_id, customer_id) VALUES (:tenant_id, :customer_id)
ON CONFLICT (tenant_id, customer_id) DO UPDATE SET version = customer.version;
