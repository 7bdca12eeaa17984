-- How far copies between interaction stores have come; they are every tenant's, as kaireon_system.

-- name: read_copy^
-- How far a copy has come.
SELECT cursor, copied, finished_at IS NOT NULL AS is_read
FROM interaction_copies
WHERE source = :source AND target = :target;

-- name: note_copy!
-- Remember how far a copy has come.
INSERT INTO interaction_copies AS known (source, target, cursor, copied, finished_at)
VALUES (:source, :target, :cursor, :copied, CASE WHEN :is_read::boolean THEN now() END)
ON CONFLICT (source, target) DO UPDATE
SET cursor = excluded.cursor, copied = excluded.copied, finished_at = excluded.finished_at;

-- name: forget_copy!
-- The next copy begins at the beginning.
DELETE FROM interaction_copies WHERE source = :source AND target = :target;
