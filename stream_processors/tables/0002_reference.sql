-- Reference tables for the views, replaced as a whole at each start of the store lane (tables/reference.py).

CREATE TABLE IF NOT EXISTS departments
(
    department   String,
    name_zh      String,
    name_en      String,
    cadence_days Nullable(Int32)
)
ENGINE = MergeTree
ORDER BY department;

CREATE TABLE IF NOT EXISTS categories
(
    category String,
    name_zh  String,
    name_en  String,
    sign     LowCardinality(String)
)
ENGINE = MergeTree
ORDER BY category;

-- Pilot units overlap: a record may count for several.
CREATE TABLE IF NOT EXISTS pilot_units
(
    unit       String,
    kind       LowCardinality(String),
    zone_group LowCardinality(String),
    name_zh    String,
    name_en    String,
    fictional  Bool
)
ENGINE = MergeTree
ORDER BY unit;

-- Every region code, past ones and aliases of parks included, whose records count for a unit.
CREATE TABLE IF NOT EXISTS pilot_unit_regions
(
    region String,
    unit   String
)
ENGINE = MergeTree
ORDER BY (region, unit);

-- Departments whose records count for a unit, whatever their region.
CREATE TABLE IF NOT EXISTS pilot_unit_departments
(
    department String,
    unit       String
)
ENGINE = MergeTree
ORDER BY (department, unit);

-- Days that are not what their weekday says: holidays, and weekends that are worked.
CREATE TABLE IF NOT EXISTS calendar_exceptions
(
    day    Date32,
    kind   LowCardinality(String),
    status LowCardinality(String)
)
ENGINE = MergeTree
ORDER BY day;

-- Outcomes, the worst of several events of one row first, and reject reasons with their sentences.
CREATE TABLE IF NOT EXISTS outcomes
(
    outcome  String,
    severity Int32,
    sentence String
)
ENGINE = MergeTree
ORDER BY outcome;

CREATE TABLE IF NOT EXISTS reasons
(
    reason   String,
    outcome  LowCardinality(String),
    sentence String,
    remedy   String
)
ENGINE = MergeTree
ORDER BY reason;
