"""The signals that tell a process to stop, beside Ctrl-C."""

import signal


def stop_signals() -> tuple[signal.Signals, ...]:
    """SIGTERM, and the one of a terminal that is closed, unless the process is to outlive that, as `nohup` has it."""
    outlives = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM,) if outlives else (signal.SIGTERM, signal.SIGHUP)
