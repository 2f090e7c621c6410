"""Tests, which mirror the layout of services/."""
