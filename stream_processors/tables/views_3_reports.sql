-- What departments are told of their data: how soon it came, what was set aside, what became of each submission.

-- Working days by number: ordinal(b) - ordinal(a) is the count of working days after a, up to and including b. The day
-- of the event is not counted (Civil Code, Art. 201). Beyond the years of the calendar, Monday to Friday.
CREATE OR REPLACE VIEW working_days AS
SELECT
    d.day AS day,
    toInt32(sum(multiIf(e.kind = 'holiday', 0, e.kind = 'workday', 1, toDayOfWeek(d.day) <= 5, 1, 0)) OVER (ORDER BY d.day))
        AS ordinal
FROM
(
    SELECT addDays(toDate32('1950-01-01'), number) AS day
    FROM numbers(dateDiff('day', toDate32('1950-01-01'), toDate32('2100-01-01')))
) AS d
LEFT ANY JOIN calendar_exceptions AS e ON d.day = e.day;

-- How long each record took from its decision to its first report, in working days. The founding of a body is no
-- decision that anyone reports late, so registrations are not in it.
CREATE OR REPLACE VIEW reporting_delays AS
SELECT
    h.department AS department,
    h.category AS category,
    greatest(toInt32(reported.ordinal) - toInt32(decided.ordinal), 0) AS working_days
FROM
(
    SELECT
        department,
        category,
        assumeNotNull(decided_on) AS decided_day,
        toDate32(reported_at, 'Asia/Shanghai') AS reported_day
    FROM history FINAL
    WHERE variant_of = '' AND outcome = 'new' AND operation IN ('report', 'correct') AND category != 'registration'
      AND decided_on IS NOT NULL
) AS h
INNER JOIN working_days AS decided ON h.decided_day = decided.day
INNER JOIN working_days AS reported ON h.reported_day = reported.day;

-- Seven working days from the decision is the term of the public notice of licences and penalties
-- (发改办财金〔2018〕424号).
CREATE OR REPLACE VIEW timeliness AS
SELECT
    department,
    count() AS records,
    countIf(working_days <= 7) / count() AS within_7_working_days_share,
    quantileExact(0.5)(working_days) AS delay_working_days_median,
    quantileExact(0.9)(working_days) AS delay_working_days_p90
FROM reporting_delays
GROUP BY department
ORDER BY department;

CREATE OR REPLACE VIEW timeliness_by_category AS
SELECT
    department,
    category,
    count() AS records,
    countIf(working_days <= 7) / count() AS within_7_working_days_share,
    quantileExact(0.5)(working_days) AS delay_working_days_median,
    quantileExact(0.9)(working_days) AS delay_working_days_p90
FROM reporting_delays
GROUP BY department, category
ORDER BY department, category;

CREATE OR REPLACE VIEW quarantine_by_reason AS
SELECT
    q.department AS department,
    q.reason AS reason,
    q.detail AS detail,
    count() AS events,
    min(q.reported_at) AS first_reported_at,
    max(q.reported_at) AS last_reported_at,
    any(replaceOne(r.sentence, '{detail}', q.detail)) AS sentence,
    any(r.remedy) AS remedy
FROM (SELECT department, reason, detail, reported_at FROM quarantine FINAL) AS q
LEFT ANY JOIN reasons AS r ON q.reason = r.reason
GROUP BY department, reason, detail
ORDER BY department, events DESC, reason, detail;

-- Rows and events of each submission by outcome and reason. A row that became several events has the outcome of the
-- worst of them, so the rows of a submission add up to what was sent. What could not be read has no submission.
-- An event that was set aside and sent again counts once: its first good outcome stands, else the last that was said.
CREATE OR REPLACE VIEW submission_outcomes AS
SELECT
    department,
    submission,
    outcome,
    reason,
    detail,
    countIf(source_row != 0 AND turn = 1) AS rows,
    count() AS events
FROM
(
    SELECT
        e.department AS department,
        e.submission AS submission,
        tupleElement(e.said, 1) AS outcome,
        tupleElement(e.said, 2) AS reason,
        tupleElement(e.said, 3) AS detail,
        e.source_row AS source_row,
        row_number() OVER (
            PARTITION BY e.department, e.submission, e.source_row
            ORDER BY o.severity, e.source_part
        ) AS turn
    FROM
    (
        SELECT
            department,
            submission,
            source_row,
            source_part,
            argMax(tuple(outcome, reason, detail), tuple(good, if(good, -offset, offset))) AS said
        FROM
        (
            SELECT
                department, submission, source_row, source_part, outcome, reason, detail, offset,
                outcome NOT IN ('quarantined', 'refused') AS good,
                if(source_row = 0 OR submission = '', (source_partition, event_offset), (-1, -1)) AS its_own
            FROM receipts FINAL
            ARRAY JOIN rows AS source_row, parts AS source_part, offsets AS event_offset
        )
        GROUP BY department, submission, source_row, source_part, its_own
    ) AS e
    LEFT ANY JOIN outcomes AS o ON tupleElement(e.said, 1) = o.outcome
)
GROUP BY department, submission, outcome, reason, detail
ORDER BY department, submission, outcome, reason, detail;
