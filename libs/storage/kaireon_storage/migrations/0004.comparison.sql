-- The product's one comparison, for what is counted in Postgres: metrics over interactions, members of segments.
-- depends: 0002.decisions

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Whether `value <operator> operand` holds, as kaireon_core.column says it; null is SQL's null. Without regex.
CREATE FUNCTION kaireon_holds(value jsonb, operator text, operand jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE
    WHEN operator = 'eq' THEN value IS NOT DISTINCT FROM operand
    WHEN operator = 'neq' THEN value IS DISTINCT FROM operand
    WHEN operator IN ('is_null', 'not_exists') THEN value IS NULL
    WHEN operator IN ('is_not_null', 'exists') THEN value IS NOT NULL
    WHEN operator IN ('in', 'not_in') THEN (operator = 'in') = EXISTS (
        SELECT FROM jsonb_array_elements(CASE jsonb_typeof(operand) WHEN 'array' THEN operand ELSE '[]' END) AS list (member)
        WHERE nullif(member, 'null') IS NOT DISTINCT FROM kaireon_holds.value OR member IN (
            SELECT jsonb_array_elements(CASE jsonb_typeof(value) WHEN 'array' THEN value ELSE '[]' END)
        )
    )
    WHEN operator = 'contains' AND jsonb_typeof(value) = 'array'
        THEN coalesce(operand, 'null') IN (SELECT jsonb_array_elements(value))
    WHEN jsonb_typeof(value) IS NULL OR jsonb_typeof(value) IS DISTINCT FROM jsonb_typeof(operand) THEN false
    WHEN jsonb_typeof(value) = 'number' THEN CASE operator
        WHEN 'gt' THEN (value #>> '{}')::numeric > (operand #>> '{}')::numeric
        WHEN 'gte' THEN (value #>> '{}')::numeric >= (operand #>> '{}')::numeric
        WHEN 'lt' THEN (value #>> '{}')::numeric < (operand #>> '{}')::numeric
        WHEN 'lte' THEN (value #>> '{}')::numeric <= (operand #>> '{}')::numeric
        ELSE false
    END
    WHEN jsonb_typeof(value) = 'string' THEN CASE operator
        WHEN 'gt' THEN (value #>> '{}') COLLATE "C" > (operand #>> '{}')
        WHEN 'gte' THEN (value #>> '{}') COLLATE "C" >= (operand #>> '{}')
        WHEN 'lt' THEN (value #>> '{}') COLLATE "C" < (operand #>> '{}')
        WHEN 'lte' THEN (value #>> '{}') COLLATE "C" <= (operand #>> '{}')
        WHEN 'contains' THEN strpos(value #>> '{}', operand #>> '{}') > 0
        WHEN 'starts_with' THEN starts_with(value #>> '{}', operand #>> '{}')
        ELSE false
    END
    ELSE false
END;
