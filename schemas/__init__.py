"""The contract: what every party must agree on. Imports neither side, does no network I/O."""
