"""What agencies need to believe each other: identifiers, pseudonyms, signatures, chains, documents, keys at rest.

Nothing here opens a socket or a database.
"""
