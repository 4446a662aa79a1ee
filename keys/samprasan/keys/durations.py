"""How long a day is in milliseconds, in which every moment here is counted."""

DAY_MS = 86_400_000
