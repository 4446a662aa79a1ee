"""An id becomes an account, and nobody else learns the id.  Each module imports only what stands below it.

- ``rotation``: every account gets a pseudonym under the next key
- ``accounts``: have the hub open accounts for pseudonyms
- ``questions``: ask peers to evaluate blinded ids
- ``evaluation``: evaluate for peers, within their quota
- ``ceremony``: hold a key ceremony
- ``linking_use``: what everybody's evaluations came to
- ``evaluation_totals``: totals that requester and evaluator both sign
- ``allowance``: what each agency may still have evaluated today
- ``letters``: signed messages, sealed for one reader
- ``shares``: shares of linking keys
"""
