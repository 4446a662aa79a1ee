"""What agencies need to believe each other.  Nothing here opens a socket or a database.

Each module imports only what stands below it.

- ``ceremony``: a linking key that no dealer knows alone
- ``dissents``: an agency's no to a proposed document
- ``documents``: joint documents and their signatures
- ``rosters``: who takes part, and what one roster may change of the one before
- ``spoken_digest``: a digest as words
- ``checkpoint``: what the hub says its log is
- ``credentials``: an integrator's credentials
- ``evaluation_totals``: how many ids an agency had evaluated, signed by two
- ``sharing``: a key that takes two of three agencies
- ``signing``: DSSE envelopes
- ``pseudonym``: RFC 9497
- ``ristretto``: ristretto255 from libsodium
- ``certificates``: X.509 for mutual TLS
- ``chain``: a party's chain of batches
- ``handles``: what one integrator knows things by
- ``merkle``: the Merkle tree over the log
- ``identifiers``: who a deed belongs to
- ``invitation``: the invite file
- ``keyring``: sealed key files
- ``sealing``: mail for one reader, columns at rest
- ``errors``: the four errors
- ``plain_text``: text that shows as itself
- ``durations``: a day in milliseconds
"""
