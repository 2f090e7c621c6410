"""`winnow validate`: a conversation of its own goes through a running deployment, and what comes out is judged."""
