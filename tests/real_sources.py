"""The real sources that hold organisations: which file goes through which mapping, and who reports it.

The files are not in this repository; XINLIU_SHARED_DATA names their folder.
"""

import os
from dataclasses import dataclass
from pathlib import Path

_SHARED = Path(os.environ.get("XINLIU_SHARED_DATA") or Path(__file__).parents[1].parent / "shared" / "data")


@dataclass(frozen=True)
class RealSource:
    """One file.

    Attributes:
        rows: how many it is known to have.
        codes: headers of the columns of organisations' numbers, of the lists whose codes are compared.
    """

    name: str
    mapping: str
    department: str
    rows: int
    codes: tuple[str, ...] = ()

    @property
    def file(self) -> Path:
        return _SHARED / self.name


_LISTS = "cn_credit_blacklists"
_SMALL = "cn_penalties_small"
_FORMS = "cn_field_templates"
_BRAZIL = "br_cgu_sanctions"
_SECTOR_CODES = ("统一信用代码", "工商注册号", "组织机构代码")

SOURCES = [
    RealSource("cn_registrations/shandong_1978_2000.csv.gz", "registration-cn", "market", 44_510),
    RealSource("cn_registrations/national_sample.csv.gz", "registration-cn", "market", 57_685),
    RealSource("cn_registrations/code_dirt.csv", "registration-cn", "market", 1_229, ("统一社会信用代码",)),
    RealSource("cn_registrations/sole_trader_codes.csv", "registration-cn", "market", 3_754),
    RealSource("cn_registrations/shandong_1998_1999_scope.csv.gz", "registration-cn", "market", 11_899),
    RealSource(f"{_LISTS}/ecommerce_serious_2017.xlsx", "sector-blacklist", "reform", 500, _SECTOR_CODES),
    RealSource(f"{_LISTS}/logistics_serious_2017.xls", "sector-blacklist", "reform", 270, _SECTOR_CODES),
    RealSource(
        f"{_LISTS}/finance_judgment_debtors_2017.xlsx",
        "court-debtor",
        "court",
        181,
        ("统一社会信用代码", "组织结构代码"),
    ),
    RealSource(
        f"{_LISTS}/finance_convicted_firms_2017.xlsx",
        "convicted-organisations",
        "court",
        165,
        ("统一社会信 用代码", "组织机构 代码"),
    ),
    RealSource(f"{_LISTS}/env_exceedance_penalties_2017.xlsx", "emission-exceedance", "environment", 171),
    RealSource(f"{_LISTS}/herbal_pieces_failed_2017.xlsx", "drug-inspection", "market", 39),
    RealSource(f"{_SMALL}/env_penalties.json", "environment-penalty", "environment", 7),
    RealSource(f"{_SMALL}/discharge_permits.json", "discharge-permit", "environment", 3),
    RealSource(f"{_SMALL}/asset_monitor_penalties.json", "penalty-platform", "reform", 5),
    RealSource(f"{_SMALL}/penalties_without_subject.json", "penalty-platform", "reform", 4),
    RealSource(f"{_SMALL}/register_popup_penalties.json", "penalty-platform", "reform", 3),
    RealSource(f"{_SMALL}/city_platform_penalty_row.json", "penalty-2018", "market", 1),
    RealSource(f"{_SMALL}/city_platform_licence_row.json", "licence-2018", "market", 1),
    RealSource(f"{_SMALL}/tax_credit_ratings.csv", "tax-rating", "tax", 2),
    RealSource(f"{_FORMS}/xzcf.xls", "template-penalty", "market", 1),
    RealSource(f"{_FORMS}/xzxk.xls", "template-licence", "market", 1),
    RealSource("mx_sat_69b/listado_69b_2021-05-18.csv.gz", "mx-sat-69b", "mx-sat", 9_920),
    RealSource("mx_sat_69b/listado_69b_2022-11-30.csv.gz", "mx-sat-69b", "mx-sat", 10_044),
    RealSource(f"{_BRAZIL}/ceis_2020-09.csv", "br-ceis", "br-cgu", 4_368),
    RealSource(f"{_BRAZIL}/cnep_2020-09.csv", "br-cnep", "br-cgu", 22),
    RealSource(f"{_BRAZIL}/cnep_2023-09.json.gz", "br-cnep", "br-cgu", 746),
    RealSource(f"{_BRAZIL}/cepim_2023-09.json.gz", "br-cepim", "br-cgu", 4_032),
    RealSource(f"{_BRAZIL}/cepim_2023-10.json.gz", "br-cepim", "br-cgu", 4_009),
    RealSource(f"{_BRAZIL}/acordo_leniencia_2023-09.json", "br-leniency", "br-cgu", 137),
    RealSource(f"{_BRAZIL}/acordo_leniencia_2023-10.json", "br-leniency", "br-cgu", 141),
    RealSource("br_mg_anticorruption/empresas_sancionadas.csv", "br-mg-anticorruption", "br-mg", 34),
    RealSource("mdb_debarred/world_bank_ineligible_2025-01-07.xlsx", "mdb-world-bank", "world-bank", 925),
    RealSource("mdb_debarred/iadb_sanctioned_firms_2025-01.xlsx", "mdb-iadb", "iadb", 781),
    RealSource("us_epa_r1_permits/npdes_permits_2026-04.csv.gz", "us-epa-npdes", "us-epa", 3_065),
]
"""Every source with organisations, in the order in which they are published."""
