-- What models have learned from responses since their state was last written, and the features that they learn from.
-- depends: 0003.tallies

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Two sums per subject: of a bandit's arm (an offer), or of a class or a field's value. A new generation begins with
-- nothing. The sums are exact, so that the order in which responses arrive does not show.
CREATE TABLE learned_sums (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    model_id uuid NOT NULL,
    generation integer NOT NULL,
    subject text NOT NULL,
    first numeric NOT NULL,
    second numeric NOT NULL,
    PRIMARY KEY (tenant_id, model_id, generation, subject)
);
CALL kaireon_protect('learned_sums');

-- Weights are no sums: each step begins where the last one ended. `state` is {"bias", "updates", "weights"}; `steps` are
-- those of the statement that made the row, and empty once another one has taken its own.
CREATE TABLE learned_weights (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    model_id uuid NOT NULL,
    generation integer NOT NULL,
    state jsonb NOT NULL,
    steps jsonb NOT NULL,
    PRIMARY KEY (tenant_id, model_id, generation)
);
CALL kaireon_protect('learned_weights');

-- Takes steps of gradient descent, in order: {"x": {feature: number}, "reward", "rate", "l2"}. No number of it leaves the
-- range of doubles: features and weights are held, what is next to nothing counts as nothing, and a model keeps at most
-- 5,000 features.
CREATE FUNCTION kaireon_learn(state jsonb, steps jsonb) RETURNS jsonb
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    weights jsonb := state -> 'weights';
    bias double precision := (state ->> 'bias')::double precision;
    updates bigint := coalesce((state ->> 'updates')::bigint, 0);
    -- Only what is large can be full, and only then is it worth counting.
    is_full boolean := pg_column_size(weights) > 50000 AND (SELECT count(*) >= 5000 FROM jsonb_object_keys(weights));
    step jsonb;
    slope double precision;
    moved jsonb;
BEGIN
    FOR step IN SELECT value FROM jsonb_array_elements(steps) LOOP
        SELECT
            jsonb_object_agg(key, least(greatest(weight * (1 - shrink) + rate * error * x, -1e50), 1e50))
                FILTER (WHERE NOT is_full OR weights ? key),
            max(rate * error)
        INTO moved, slope
        FROM (
            SELECT feature.*, reward - 1 / (1 + exp(-least(greatest(bias + sum(weight * x) OVER (), -200), 200))) AS error
            FROM (
                SELECT
                    given.key, given.value::double precision AS x,
                    CASE WHEN abs(known.weight) < 1e-100 THEN 0 ELSE known.weight END AS weight,
                    (step ->> 'reward')::double precision AS reward, (step ->> 'rate')::double precision AS rate,
                    (step ->> 'rate')::double precision * (step ->> 'l2')::double precision AS shrink
                FROM jsonb_each_text(step -> 'x') AS given
                CROSS JOIN LATERAL (SELECT coalesce((weights ->> given.key)::double precision, 0)) AS known (weight)
            ) AS feature
        ) AS scored;
        IF moved IS NULL AND slope IS NULL THEN
            -- Without any feature the bias learns alone.
            slope := (step ->> 'rate')::double precision
                * ((step ->> 'reward')::double precision - 1 / (1 + exp(-least(greatest(bias, -200), 200))));
        END IF;
        weights := weights || coalesce(moved, '{}');
        bias := least(greatest(bias + slope, -1e50), 1e50);
        updates := updates + 1;
    END LOOP;
    RETURN jsonb_build_object('weights', weights, 'bias', bias, 'updates', updates);
END
$$;

-- What the models that learn from features read at the time of a decision: {"customer": {field: value}, "offers": [one
-- more of these for each rank]}. Null where no such model learns.
ALTER TABLE decision_traces ADD COLUMN features jsonb;
