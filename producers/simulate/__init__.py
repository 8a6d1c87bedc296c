"""Made-up input: department files with realistic dirt, and events for load and benchmarks. Nothing here is real."""

from producers.simulate.events import Stream, expected_outcomes, generate_events

__all__ = ["Stream", "expected_outcomes", "generate_events"]
