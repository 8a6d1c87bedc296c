"""The law as data: dated packs of rules, each rule one measure that a record can trigger. See `packs/*.toml`."""
