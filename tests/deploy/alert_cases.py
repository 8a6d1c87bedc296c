"""A case for each alert: a history in which it stays quiet, fires, and resolves; times and series as promtool has them.

`values` are promtool's: `0x20` is 0 and 20 more of it, `0+5x20` rises by 5, one value for each interval.
"""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Case:
    """One history.

    Attributes:
        series: values by series.
        quiet_at, fires_at, resolved_at: moments of the history; quiet twice, firing in between.
        labels: of the alert that fires, besides its name and severity.
    """

    alert: str
    series: dict[str, str]
    quiet_at: str
    fires_at: str
    resolved_at: str
    labels: dict[str, str] = field(default_factory=dict)
    interval: str = "15s"


MARKET = {"department": "market"}
_INTAKE = 'xinliu_outcomes_total{lane="intake",department="market",outcome="quarantined"}'
_TAKEN = 'xinliu_events_total{lane="intake",department="market"}'
_LATE = 'xinliu_reports_timed_total{department="market",rule="law",verdict="late"}'
_IN_TIME = 'xinliu_reports_timed_total{department="market",rule="law",verdict="in_time"}'
_BUCKET = 'xinliu_end_to_end_seconds_bucket{stage="readable",le="%s"}'
_ENDED = 'xinliu_end_acknowledged_seconds_bucket{service="%s",le="%s"}'
_INSERT = 'xinliu_store_insert_seconds_bucket{table="records",le="%s"}'
_REFUSED = 'xinliu_refusals_total{department="market",reason="%s",kind="%s"}'
_DAY = 86_400

CASES = (
    Case(
        "LaneDown",
        {'up{job="register",instance="a:1"}': "1x19 0x19 1x19", 'up{job="node"}': "0x60"},
        "4m",
        "8m",
        "12m",
        {"job": "register", "instance": "a:1"},
    ),
    Case(
        "LaneRestartsLoop",
        {
            # One restart, as after any trouble, and an hour later six of them.
            'xinliu_starts_total{lane="register"}': "7x29 8x209 9 9 10 10 11 11 12 12 13 13 14x200",
        },
        "12m",
        "63m",
        "90m",
        {"lane": "register"},
    ),
    Case(
        "LaneLagging",
        {'xinliu_lag_seconds{lane="intake"}': "0x9 20x10 60x19 0x20"},
        "4m45s",
        "8m",
        "12m",
        {"lane": "intake"},
    ),
    Case(
        "LaneMakesNoProgress",
        {
            'xinliu_lag_events{lane="register",topic="credit.identified",partition="0"}': "50x99",
            'xinliu_lag_events{lane="store",topic="credit.records",partition="0"}': "50x99",
            'xinliu_batch_rows_count{lane="register"}': "0+9x20 180x39 189+9x40",
            'xinliu_store_rows_total{table="records"}': "0+9x99",
        },
        "5m",
        "12m",
        "20m",
        {"lane": "register"},
    ),
    Case(
        "OpenTransaction",
        {
            'xinliu_open_transaction_seconds{topic="credit.records",partition="1"}': "0 2 0 9x9 30x9 0x20",
        },
        "3m",
        "4m",
        "7m",
        {"topic": "credit.records", "partition": "1"},
    ),
    Case(
        "TransactionsAborted",
        {'xinliu_transactions_aborted_total{lane="intake"}': "0x9 1x20 3+2x20 43x60"},
        "6m",
        "12m",
        "25m",
        {"lane": "intake"},
    ),
    Case(
        "PartitionPaused",
        {'xinliu_partition_paused{lane="store",topic="credit.records",partition="3"}': "0x9 1x9 0x9"},
        "2m",
        "3m",
        "6m",
        {"lane": "store", "topic": "credit.records", "partition": "3"},
    ),
    Case(
        "EndToEndSlow",
        {
            _BUCKET % "1.0": "0+100x40 4000+50x80 8000+100x120",
            _BUCKET % "2.5": "0+100x40 4000+100x80 12000+100x120",
            _BUCKET % "+Inf": "0+100x40 4000+100x80 12000+100x120",
        },
        "9m",
        "22m",
        "45m",
    ),
    Case(
        "EndReachesServicesSlowly",
        {
            # Ends come to one service within half a second, but for half an hour, and to the other always.
            _ENDED % ("portal", "0.5"): "0+60x60 3600x30 3600+60x60",
            _ENDED % ("portal", "2.5"): "0+60x150",
            _ENDED % ("portal", "+Inf"): "0+60x150",
            _ENDED % ("bank", "0.5"): "0+60x150",
            _ENDED % ("bank", "2.5"): "0+60x150",
            _ENDED % ("bank", "+Inf"): "0+60x150",
        },
        "60m",
        "88m",
        "130m",
        {"service": "portal"},
        interval="1m",
    ),
    Case(
        "RestoreSlow",
        {'xinliu_restore_seconds{job="register",partition="2"}': "4x9 200x9 4x9"},
        "2m",
        "3m",
        "6m",
        {"job": "register", "partition": "2"},
    ),
    Case(
        "QuarantineShareHigh",
        {
            _TAKEN: "0+100x300",
            _INTAKE: "0+5x100 505+60x60 4105x140",
            'xinliu_events_total{lane="intake",department="court"}': "0x50 0+1x300",  # few, and all of them bad
            'xinliu_outcomes_total{lane="intake",department="court",outcome="quarantined"}': "0x50 0+1x300",
        },
        "25m",
        "38m",
        "70m",
        MARKET,
    ),
    Case(
        "PersonalNumbersRefused",
        {
            _REFUSED % ("personal_number", "resident_id"): "0x20 3x40 8+5x20 108x99",
            _REFUSED % ("subject_out_of_scope", "union"): "0+50x200",
        },
        "10m",
        "19m",
        "40m",
        MARKET,
    ),
    Case(
        "DepartmentSilent",
        {
            'xinliu_department_due_timestamp_seconds{department="market"}': f"{_DAY}x30 {4 * _DAY}x60",
            'xinliu_department_due_timestamp_seconds{department="court"}': f"{9 * _DAY}x90",
        },
        "23h",
        "27h",
        "33h",
        MARKET,
        "1h",
    ),
    Case(
        "ReportsLate",
        {
            _IN_TIME: "0+20x200",
            _LATE: "0+1x40 41+10x20 241x100",
            'xinliu_reports_timed_total{department="court",rule="yardstick",verdict="late"}': "0+50x200",
            'xinliu_reports_timed_total{department="tax",rule="law",verdict="provisional"}': "0+50x200",
        },
        "38h",
        "55h",
        "100h",
        MARKET,
        "1h",
    ),
    Case("StoreParkedRows", {'xinliu_store_rows_total{table="parked"}': "0x20 2x99"}, "4m", "8m", "24m"),
    Case(
        "StoreInsertsSlow",
        {
            _INSERT % "5.0": "0+10x40 400x80 410+10x99",
            _INSERT % "10.0": "0+10x40 410+10x80 1220+10x99",
            _INSERT % "+Inf": "0+10x40 410+10x80 1220+10x99",
        },
        "9m",
        "22m",
        "45m",
        {"table": "records"},
    ),
    Case(
        "DeliveriesWaiting",
        {
            # One that is told within minutes, and one that is told nothing for two hours.
            'xinliu_deliveries_waiting{reader="notices"}': "5 5 0 5 0 5 0x300",
            'xinliu_deliveries_waiting{reader="webhook-a"}': "0x20 3x140 0x200",
        },
        "30m",
        "100m",
        "220m",
        {"reader": "webhook-a"},
        interval="1m",
    ),
    Case(
        "DeadLetters",
        {'xinliu_dead_letters{reader="webhook-a"}': "0x20 2x40 0x60", 'xinliu_dead_letters{reader="notices"}': "0x120"},
        "4m",
        "12m",
        "20m",
        {"reader": "webhook-a"},
    ),
    Case("VerifyFailed", {'xinliu_verify_ok{lane="store"}': "1x9 0x9 1x9"}, "2m", "3m", "6m"),
    Case(
        "VerifyTooOld",
        {'xinliu_verify_timestamp_seconds{lane="store"}': f"0x60 {60 * 3600}x40"},
        "47h",
        "52h",
        "64h",
        interval="1h",
    ),
    Case(
        "DiskNearlyFull",
        {
            'xinliu_disk_free_bytes{lane="intake"}': "50x40 5x60 50x60",
            'xinliu_disk_size_bytes{lane="intake"}': "100x160",
        },
        "8m",
        "20m",
        "30m",
        {"lane": "intake"},
    ),
)
