"""The sample chat and the questions that `winnow demo` asks of it."""
