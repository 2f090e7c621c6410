"""Winnow: its four services, what they share, and the command."""
