-- The tables that the store lane fills, one for each kind of topic.
--
-- Every row carries the position of the message that it came from, and every insert may be repeated: the engines
-- replace a row by its key, so a batch that is sent again after a lost reply leaves what one would have left.
-- No table is partitioned by a date of the data: a corrected date would put the two versions of a row into two
-- partitions, where they never meet.
-- Every statement in this folder may run twice: that is what makes two starts at once safe.

-- The newest revision of each record (credit.records): closed stubs and markers included.
CREATE TABLE IF NOT EXISTS records
(
    revision               Int32,
    status                 LowCardinality(String),
    outcome                LowCardinality(String),
    variant_of             String,
    rank                   Int32,
    content_order          Int64,
    status_order           Int64,
    record_id              String,
    content                String,
    subject_key            String,
    department             LowCardinality(String),
    category               LowCardinality(String),
    operation              LowCardinality(String),
    authority_code         LowCardinality(String),
    effective_on           Nullable(Date32),
    source_version         Nullable(DateTime64(3, 'UTC')),
    published_until        Nullable(Date32),
    source_partition       Int32,
    source_offset          Int64,
    submission             LowCardinality(String),
    source_row             Int32,
    source_part            Int32,
    reported_at            DateTime64(3, 'UTC'),
    event_id               String,
    mapping                LowCardinality(String),
    subject_ids            Array(String),
    subject_name           String,
    subject_kind           LowCardinality(String),
    authority_name         LowCardinality(String),
    region                 LowCardinality(String),
    document_number        String,
    item                   LowCardinality(String),
    grade                  LowCardinality(String),
    classes                Array(LowCardinality(String)),
    legal_bases            Array(LowCardinality(String)),
    fine_fen               Nullable(Int64),
    confiscated_fen        Nullable(Int64),
    amount_fen             Nullable(Int64),
    decided_on             Nullable(Date32),
    valid_from             Nullable(Date32),
    valid_to               Nullable(Date32),
    change_document_number String,
    change_decided_on      Nullable(Date32),
    state                  LowCardinality(String),
    source_url             String,
    subject_id             String,
    identity_version       Int32,
    epoch                  UInt16,
    partition              Int32,
    offset                 Int64,
    recorded_at            DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree(revision)
ORDER BY (subject_key, record_id);

-- Every revision, for ever (credit.history), with the columns of a record.
CREATE TABLE IF NOT EXISTS history AS records
ENGINE = ReplacingMergeTree
ORDER BY (epoch, partition, offset);

-- A statement asks for one subject, and the history is not in the order of subjects.
ALTER TABLE history ADD INDEX IF NOT EXISTS subject_key_bloom subject_key TYPE bloom_filter(0.01) GRANULARITY 1;

-- Events that were set aside (credit.quarantine).
CREATE TABLE IF NOT EXISTS quarantine
(
    department       LowCardinality(String),
    source_partition Int32,
    source_offset    Int64,
    submission       LowCardinality(String),
    source_row       Int32,
    source_part      Int32,
    event_id         String,
    mapping          LowCardinality(String),
    category         LowCardinality(String),
    reason           LowCardinality(String),
    detail           LowCardinality(String),
    reported_at      Nullable(DateTime64(3, 'UTC')),
    event            String,
    topic            LowCardinality(String),
    partition        Int32,
    offset           Int64,
    recorded_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset);

-- What became of each row (credit.receipts.*): one outcome of one batch, many rows of a submission.
CREATE TABLE IF NOT EXISTS receipts
(
    lane             LowCardinality(String),
    department       LowCardinality(String),
    submission       LowCardinality(String),
    outcome          LowCardinality(String),
    reason           LowCardinality(String),
    detail           LowCardinality(String),
    source_partition Int32,
    offsets          Array(Int64),
    rows             Array(Int32),
    parts            Array(Int32),
    record_ids       Array(String),
    topic            LowCardinality(String),
    partition        Int32,
    offset           Int64,
    recorded_at      DateTime64(3, 'UTC')
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset);

-- Messages that could not be stored: where each lies, and why. Their bytes stay in Kafka.
CREATE TABLE IF NOT EXISTS parked
(
    topic     LowCardinality(String),
    partition Int32,
    offset    Int64,
    reason    LowCardinality(String)
)
ENGINE = ReplacingMergeTree
ORDER BY (topic, partition, offset);

-- Which store this is, and which Kafka cluster fills it: positions of one mean nothing in another.
CREATE TABLE IF NOT EXISTS identity
(
    store      String,
    cluster    String,
    created_at DateTime64(3, 'UTC')
)
ENGINE = MergeTree
ORDER BY (created_at, store);
