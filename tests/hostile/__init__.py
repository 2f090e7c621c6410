"""Every RPC of the running services under damaged requests, by a caller who would like to see another workspace."""
