-- The product's one comparison, for what is counted in Postgres: metrics over interactions, members of segments.
-- depends: 0002.decisions

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Whether `given <operator> operand` holds, as kaireon_core.column says it; null is SQL's null. Without regex.
-- Not in SQL: that could not be inlined because of the lists, and would then cost ten times as much a call.
CREATE FUNCTION kaireon_holds(given jsonb, operator text, operand jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE AS $$
DECLARE
    kind text;
BEGIN
    CASE operator
        WHEN 'eq' THEN RETURN given IS NOT DISTINCT FROM operand;
        WHEN 'neq' THEN RETURN given IS DISTINCT FROM operand;
        WHEN 'is_null', 'not_exists' THEN RETURN given IS NULL;
        WHEN 'is_not_null', 'exists' THEN RETURN given IS NOT NULL;
        WHEN 'in' THEN
            IF jsonb_typeof(given) = 'array' THEN
                RETURN EXISTS (
                    SELECT FROM jsonb_array_elements(operand) AS wanted (member)
                    WHERE member = given OR member IN (SELECT jsonb_array_elements(given))
                );
            END IF;
            RETURN EXISTS (
                SELECT FROM jsonb_array_elements(operand) AS wanted (member)
                WHERE member = coalesce(given, 'null')
            );
        WHEN 'not_in' THEN RETURN NOT kaireon_holds(given, 'in', operand);
        ELSE kind := jsonb_typeof(given);
    END CASE;
    IF kind = 'array' AND operator = 'contains' THEN
        RETURN coalesce(operand, 'null') IN (SELECT jsonb_array_elements(given));
    ELSIF kind IS NULL OR kind IS DISTINCT FROM jsonb_typeof(operand) THEN
        RETURN false;
    ELSIF kind = 'number' THEN
        RETURN CASE operator
            WHEN 'gt' THEN given::numeric > operand::numeric
            WHEN 'gte' THEN given::numeric >= operand::numeric
            WHEN 'lt' THEN given::numeric < operand::numeric
            WHEN 'lte' THEN given::numeric <= operand::numeric
            ELSE false
        END;
    ELSIF kind = 'string' THEN
        RETURN CASE operator
            WHEN 'gt' THEN (given #>> '{}') COLLATE "C" > (operand #>> '{}')
            WHEN 'gte' THEN (given #>> '{}') COLLATE "C" >= (operand #>> '{}')
            WHEN 'lt' THEN (given #>> '{}') COLLATE "C" < (operand #>> '{}')
            WHEN 'lte' THEN (given #>> '{}') COLLATE "C" <= (operand #>> '{}')
            WHEN 'contains' THEN strpos(given #>> '{}', operand #>> '{}') > 0
            WHEN 'starts_with' THEN starts_with(given #>> '{}', operand #>> '{}')
            ELSE false
        END;
    END IF;
    RETURN false;
END
$$;

-- A field of an interaction as conditions of metrics see it: one of its columns, or what was sent with it.
-- `offer` is the body of its offer, `path` begins with the field's name. Inlined: not IMMUTABLE, as to_jsonb is not.
CREATE FUNCTION kaireon_field(
    path text[], outcome_key text, classification text, direction text, offer_id uuid, creative_id uuid,
    channel_id uuid, placement_id uuid, conversion_value double precision, rank smallint, score double precision,
    offer jsonb, details jsonb
) RETURNS jsonb
LANGUAGE sql STABLE PARALLEL SAFE
RETURN nullif(CASE path[1]
    WHEN 'outcome' THEN to_jsonb(outcome_key)
    WHEN 'classification' THEN to_jsonb(classification)
    WHEN 'direction' THEN to_jsonb(direction)
    WHEN 'offerId' THEN to_jsonb(offer_id)
    WHEN 'creativeId' THEN to_jsonb(creative_id)
    WHEN 'channelId' THEN to_jsonb(channel_id)
    WHEN 'placementId' THEN to_jsonb(placement_id)
    WHEN 'categoryId' THEN offer -> 'categoryId'
    WHEN 'subCategoryId' THEN offer -> 'subCategoryId'
    WHEN 'conversionValue' THEN to_jsonb(conversion_value)
    WHEN 'rank' THEN to_jsonb(rank)
    WHEN 'score' THEN to_jsonb(score)
    ELSE details #> path
END, 'null');
