"""Joining, hello, mailbox, documents, alarms.  Each module imports only what stands below it.

- ``hello``: answer a hello; whose certificate is it
- ``joining``: an invite is traded for a certificate
- ``dissent``: an agency's no to a proposal
- ``documents``: store joint documents, merge signatures, put them in force
- ``mailbox``: how nodes reach each other
- ``probing_alarm``: who has ids evaluated that lead to nothing
"""
