"""Fuzzing at scale: every parser of what comes from outside, and every RPC of the four services."""
