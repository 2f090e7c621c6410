"""PostgreSQL and NATS as children of `winnow up`, and the services beside them.

    with cancelled_by(signal.SIGINT, *stop_signals()):
        async with EmbeddedRuntime.open(DataDirectory(path), on_event=print) as runtime:
            await migrate(runtime.admin_database_url)
            await runtime.supervise([Child(name="ingest", command=..., environment=...)])

The servers listen on loopback with passwords of their own and are durable; a child that dies is started
again; one that keeps dying ends everything with ChildFailed. Leaving the block, for whatever reason, stops the
children in reverse order. What a killed predecessor left on the directory is ended at the next start.
`DataDirectory.runtime_state()` tells other processes where the servers are. Every error is an EmbeddedError.
Each part is imported by its own name, so that a client of what runs need not load what runs it.
"""
