"""Tests of the embedder, file by file."""
