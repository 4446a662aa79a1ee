"""What one person asks for at a counter.  Each module imports only what stands below it.

- ``redemption``: ask for a benefit, post, void, refund
- ``redemption_document``: a redemption as people and scripts see it
- ``balance``: what a person owns across all agencies
- ``consent``: what a person agrees to
- ``erasure``: forget a person
- ``handle_token``: introduce a person to an integrator
"""
