-- The words of everything that is configured, to be searched.
-- depends: 0017.journeys

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Letters and digits in lower case: what lies between them parts words, whatever it is.
CREATE FUNCTION kaireon_words(written text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN regexp_replace(lower(left(coalesce(written, ''), 20000)), '[^[:alnum:]]+', ' ', 'g');

-- Rewrites the table: thousands of rows that people have written, a second at most.
-- squawk-ignore adding-field-with-default
ALTER TABLE entities ADD COLUMN words tsvector GENERATED ALWAYS AS (
    setweight(to_tsvector('simple', kaireon_words(name)), 'A')
    || setweight(to_tsvector('simple', kaireon_words(key)), 'A')
    || setweight(to_tsvector('simple', kaireon_words(body ->> 'description')), 'B')
    || setweight(to_tsvector('simple', kaireon_words(body ->> 'tags')), 'C')
) STORED;

-- Similar words, where the server has them to offer.
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_trgm') THEN
        CREATE EXTENSION IF NOT EXISTS pg_trgm;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE NOTICE 'pg_trgm is not installed: searches find no misspelled words';
END
$$;
