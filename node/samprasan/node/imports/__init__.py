"""Rows become stored deeds.  Each module imports only what stands below it.

- ``single_record``: one record, told by an agency's own application
- ``profile_check``: try a profile on an export
- ``undo``: take an import back
- ``rejected_rows``: rejected rows as a spreadsheet
- ``importer``: every row is accepted, unchanged, corrected or rejected
- ``writer``: what an import writes
- ``deed``: one row becomes a deed, or says what is wrong
- ``areas``: Thai administrative areas
- ``bitmap``: a set of small numbers
"""
