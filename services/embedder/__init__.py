"""Keeps a current vector of every live message, atom and topic, and embeds queries at once.

Reads what ingest and extractor wrote, writes `embedder.vector` alone, and proves by comparing rows with vectors,
not by trusting tasks, that nothing is missing: whatever is gets a task again.
"""
