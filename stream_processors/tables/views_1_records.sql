-- What people query of the records. Applied again whenever this file changes.
--
-- A record is shown with its facts only while it is valid and within its publication *today*, in the past's views as
-- well: what was annulled, withdrawn, repaired or has expired since is not handed out by asking for an earlier day.
-- A day is a day in Shanghai. Markers (variant_of != '') are the state of register, and no record.
-- No view ranks bodies, and none adds up to a score.

CREATE OR REPLACE VIEW current_records AS
SELECT *
FROM records FINAL
WHERE variant_of = ''
  AND status = 'valid'
  AND (published_until IS NULL OR published_until >= toDate32(now('Asia/Shanghai')));

-- The states of each record, one row for each revision, with the facts blanked where the record is not current now.
-- An event that changed nothing is in the history with the status of a marker and the revision that it met.
CREATE OR REPLACE VIEW record_revisions AS
SELECT
    h.subject_key AS subject_key,
    h.record_id AS record_id,
    h.revision AS revision,
    h.status AS status,
    h.outcome AS outcome,
    h.recorded_at AS recorded_at,
    h.department AS department,
    h.category AS category,
    h.operation AS operation,
    h.authority_code AS authority_code,
    h.published_until AS published_until,
    h.effective_on AS effective_on,
    h.content AS content,
    h.rank AS rank,
    h.content_order AS content_order,
    h.submission AS submission,
    h.source_row AS source_row,
    h.reported_at AS reported_at,
    h.change_document_number AS change_document_number,
    h.change_decided_on AS change_decided_on,
    c.record_id != '' AS shown,
    if(shown, h.mapping, '') AS mapping,
    if(shown, h.subject_id, '') AS subject_id,
    if(shown, h.subject_ids, []) AS subject_ids,
    if(shown, h.subject_kind, '') AS subject_kind,
    if(shown, h.subject_name, '') AS subject_name,
    if(shown, h.authority_name, '') AS authority_name,
    if(shown, h.region, '') AS region,
    if(shown, h.document_number, '') AS document_number,
    if(shown, h.item, '') AS item,
    if(shown, h.grade, '') AS grade,
    if(shown, h.classes, []) AS classes,
    if(shown, h.legal_bases, []) AS legal_bases,
    if(shown, h.fine_fen, NULL) AS fine_fen,
    if(shown, h.confiscated_fen, NULL) AS confiscated_fen,
    if(shown, h.amount_fen, NULL) AS amount_fen,
    if(shown, h.decided_on, NULL) AS decided_on,
    if(shown, h.valid_from, NULL) AS valid_from,
    if(shown, h.valid_to, NULL) AS valid_to,
    if(shown, h.state, '') AS state,
    if(shown, h.source_url, '') AS source_url,
    h.epoch AS epoch,
    h.partition AS partition,
    h.offset AS offset
FROM
(
    SELECT *
    FROM history FINAL
    WHERE variant_of = '' AND status IN ('valid', 'annulled', 'withdrawn', 'repaired', 'expired')
) AS h
LEFT ANY JOIN
(
    SELECT subject_key, record_id
    FROM current_records
) AS c
ON h.subject_key = c.subject_key AND h.record_id = c.record_id;

-- The records as the platform showed them at a moment: `SELECT * FROM records_as_of(at = '2026-05-01 12:00:00')`, in
-- the time of Shanghai. What had ended by then is not in it.
CREATE OR REPLACE VIEW records_as_of AS
SELECT *
FROM
(
    SELECT *
    FROM record_revisions
    WHERE recorded_at <= {at:DateTime64(3, 'Asia/Shanghai')}
    ORDER BY epoch DESC, revision DESC
    LIMIT 1 BY subject_key, record_id
)
WHERE status = 'valid'
  AND (published_until IS NULL OR published_until >= toDate32({at:DateTime64(3, 'Asia/Shanghai')}, 'Asia/Shanghai'));
