-- The pilot units. A record counts for a unit by the region of its deciding authority, or by its department where the
-- unit is a sector department; units overlap, so their counts do not add up to a total.
-- They are compared by timeliness, data quality and repairs, never by the number of punishments.

CREATE OR REPLACE VIEW pilot_unit_records AS
SELECT u.unit AS unit, r.*
FROM current_records AS r
INNER JOIN pilot_unit_regions AS u ON r.region = u.region
UNION ALL
SELECT u.unit AS unit, r.*
FROM current_records AS r
INNER JOIN pilot_unit_departments AS u ON r.department = u.department;

CREATE OR REPLACE VIEW pilot_unit_counts AS
SELECT unit, department, category, count() AS records
FROM pilot_unit_records
GROUP BY unit, department, category
ORDER BY unit, department, category;
