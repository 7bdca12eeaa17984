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
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    weights jsonb := state -> 'weights';
    bias double precision := (state ->> 'bias')::double precision;
    updates bigint := coalesce((state ->> 'updates')::bigint, 0);
    is_full boolean := (SELECT count(*) >= 5000 FROM jsonb_object_keys(weights));
    step jsonb;
    rate double precision;
    shrink double precision;
    error double precision;
    moved jsonb;
BEGIN
    FOR step IN SELECT value FROM jsonb_array_elements(steps) LOOP
        rate := (step ->> 'rate')::double precision;
        shrink := rate * (step ->> 'l2')::double precision;
        SELECT (step ->> 'reward')::double precision
            - 1 / (1 + exp(-least(greatest(bias + coalesce(sum(
                CASE WHEN abs(known.weight) < 1e-100 THEN 0 ELSE known.weight * given.value::double precision END
            ), 0), -200), 200)))
        INTO error
        FROM jsonb_each_text(step -> 'x') AS given
        CROSS JOIN LATERAL (SELECT coalesce((weights ->> given.key)::double precision, 0)) AS known (weight);
        SELECT jsonb_object_agg(given.key, least(greatest(
            CASE WHEN abs(known.weight) < 1e-100 THEN 0 ELSE known.weight * (1 - shrink) END
            + rate * error * given.value::double precision, -1e50), 1e50))
        INTO moved
        FROM jsonb_each_text(step -> 'x') AS given
        CROSS JOIN LATERAL (SELECT coalesce((weights ->> given.key)::double precision, 0)) AS known (weight)
        WHERE NOT is_full OR weights ? given.key;
        weights := weights || coalesce(moved, '{}');
        bias := least(greatest(bias + rate * error, -1e50), 1e50);
        updates := updates + 1;
    END LOOP;
    RETURN jsonb_build_object('weights', weights, 'bias', bias, 'updates', updates);
END
$$;

-- What the models that learn from features read at the time of a decision: {"customer": {field: value}, "offers": [one
-- more of these for each rank]}. Null where no such model learns.
ALTER TABLE decision_traces ADD COLUMN features jsonb;
