"""How a process meets the world.  Each module imports only what stands below it.

- ``command``: the command line's habits
- ``metrics``: gauges for Prometheus
- ``backup``: a home and its database in one encrypted file
- ``wire``: gRPC and TLS, and our four errors as status
- ``bundle``: a log as one file
- ``configuration``: a home with its TOML file
- ``database``: SQLite and PostgreSQL: the engine, the unit of work, rows in bulk
- ``garbage_collection``: Python's collector, told to come rarely
- ``logs``: one line an event, without what libraries put into messages
- ``throttle``: who sends what cannot be believed waits longer and longer
- ``texts``: Thai and English
- ``world``: clock, randomness, signature
- ``clocks``: whether one's own clock is right, by others'
"""
