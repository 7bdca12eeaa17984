-- What is counted over all customers: stock taken, money spent, impressions of system-wide caps, evidence.
-- depends: 0002.decisions

SET LOCAL lock_timeout = '4s';
SET LOCAL statement_timeout = '60s';

-- Counted since the subject, an offer or a cap, was last configured. `period` is `ever`, or the day, week or
-- month of the tenant's calendar: D, W or M and its first day. A reservation names its maximum; one too many fails.
CREATE TABLE tallies (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    kind text NOT NULL CHECK (kind IN ('stock', 'spent', 'cap')),
    subject_id uuid NOT NULL,
    period text NOT NULL,
    amount bigint NOT NULL,
    maximum bigint,
    updated_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (tenant_id, kind, subject_id, period),
    CONSTRAINT tallies_maximum CHECK (amount <= maximum)
);
CREATE INDEX tallies_age ON tallies (updated_at) WHERE period <> 'ever';
CALL kaireon_protect('tallies');

-- How customers answered an offer on a channel, over all flows and all time; 00000000-... stands for no channel.
CREATE TABLE adaptations (
    tenant_id uuid NOT NULL REFERENCES tenants (tenant_id) ON DELETE CASCADE,
    offer_id uuid NOT NULL,
    channel_id uuid NOT NULL,
    positive bigint NOT NULL DEFAULT 0,
    negative bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (tenant_id, offer_id, channel_id)
);
CALL kaireon_protect('adaptations');
