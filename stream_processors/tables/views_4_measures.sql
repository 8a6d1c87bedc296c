-- Cases as they stand, and what binds. Whether a measure binds is computed from its dates, never from a stored flag.

CREATE OR REPLACE VIEW cases_current AS
SELECT *
FROM measures FINAL
ORDER BY case_id, revision DESC
LIMIT 1 BY case_id;

CREATE OR REPLACE VIEW in_force AS
SELECT *
FROM cases_current
WHERE state = 'in_force'
  AND in_force_from <= toDate32(now(), 'Asia/Shanghai')
  AND ends_on >= toDate32(now(), 'Asia/Shanghai');
