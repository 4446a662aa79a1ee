"""How a process meets the world: clock and entropy, database engine, gRPC and TLS, configuration, logs, command line."""
