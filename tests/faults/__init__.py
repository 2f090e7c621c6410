"""Faults against the whole of Winnow: seeded schedules over real processes, a history, and its invariants."""
