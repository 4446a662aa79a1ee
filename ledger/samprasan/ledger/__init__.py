"""The rules, pure: what hub, node and auditor must compute alike.  Each module imports only what stands below it.

- ``audit``: audit a log from its bytes alone
- ``verify``: fold anew and compare
- ``changes``: what a batch did to what integrators may see
- ``events``: events as readers handle them
- ``scopes``: scopes and filters in words
- ``ledger``: the one fold
- ``agreement``: every document in force
- ``sketch``: which accounts two sides disagree on
- ``contributions``: what an agency's batches did to each account
- ``admissions``: how Links begin and end
- ``account_rest``: the week before an account closes that nobody is linked to
- ``corrections``: awards, and what corrects them
- ``holds``: credits and stock set aside
- ``day_caps``: what an agency may still do on a day
- ``state``: accounts, links, holds, and a batch's changes on top
- ``lots``: whose credits an account holds
- ``benefits``: catalogues
- ``policy``: what a deed earns
- ``batch_form``: whether a batch can be read at all
- ``probing``: whether too many ids are evaluated in vain
- ``limit_usage``: limits of which 70 % is taken
- ``calendar``: days and months of Asia/Bangkok
- ``toml_fields``: what a person wrote in a TOML file
"""
