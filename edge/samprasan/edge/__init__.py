"""How a process meets the world: clock, database engine, gRPC and TLS, configuration, logs, command line."""
