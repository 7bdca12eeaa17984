-- What models have learned from responses since their state was last written.
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
