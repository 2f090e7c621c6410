"""Accepts messages exactly once, scores each as it comes, and gives them back.

A message, its score and the tasks that make it searchable are one transaction, and a reply means that it is committed.
The stored version of a message does not depend on the order in which its versions came, and what was deleted stays so.
"""
