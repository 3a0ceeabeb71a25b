-- What the consumers keep. Every record changes this in one database transaction, its ce_id included.

-- Records of ours that were processed: the bridge publishes one again with the same ce_id.
CREATE TABLE IF NOT EXISTS processed (
    ce_id TEXT PRIMARY KEY
) WITHOUT ROWID;

-- Transaction events that were processed: a repeat of ICR's own has another ce_id, and the same fingerprint.
CREATE TABLE IF NOT EXISTS processed_transaction_events (
    ce_source TEXT,
    ce_fingerprint TEXT,
    PRIMARY KEY (ce_source, ce_fingerprint)
) WITHOUT ROWID;

-- How each transaction stands, as each installation hears of it.
CREATE TABLE IF NOT EXISTS transactions (
    source TEXT,
    id TEXT,
    credit TEXT,
    installation TEXT,
    organization TEXT,
    type TEXT,
    amount TEXT, -- a decimal in plain notation, or null
    status TEXT,
    rank INTEGER, -- 0 pending_queue, 2 processed and failed, 1 what is not known yet: it never goes down
    ce_id TEXT, -- of the event that said so; the text of these ids sorts by the time of acceptance
    PRIMARY KEY (source, id, credit, installation)
) WITHOUT ROWID;

-- How each installation stands.
CREATE TABLE IF NOT EXISTS installations (
    source TEXT,
    id TEXT,
    organization TEXT,
    state TEXT, -- the latest of installed, uninstalled, suspended, unsuspended
    ce_id TEXT,
    PRIMARY KEY (source, id)
) WITHOUT ROWID;

-- Sums, which count double whatever is processed twice.
CREATE TABLE IF NOT EXISTS totals (
    source TEXT,
    organization TEXT,
    event TEXT,
    events INTEGER,
    processed TEXT, -- the amounts whose status was `processed`, added up exactly
    PRIMARY KEY (source, organization, event)
) WITHOUT ROWID;

-- Records that could not be processed, for people to look at: one bad record must not stop the others.
CREATE TABLE IF NOT EXISTS set_aside (
    topic TEXT,
    partition INTEGER,
    offset INTEGER,
    reason TEXT,
    value BLOB,
    PRIMARY KEY (topic, partition, offset)
) WITHOUT ROWID;
