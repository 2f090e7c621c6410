"""The `winnow` command: a gRPC client like any other, and the embedded servers of `winnow up`."""
