"""Growing over machines, shown on one: `make scale-check`."""
