"""A file becomes rows.  Each module imports only what stands below it.

- ``calamine_reader``: one spreadsheet, read in a process of its own
- ``profile_draft``: guess a first profile
- ``export``: any file as rows of cells
- ``delimited``: tables as text
- ``spreadsheets``: .xlsx, .xls, .xlsb and .ods
- ``profile``: how one kind of export is to be read
- ``rows``: rows of cells with their numbers, or why one cannot be read
- ``cells``: what one cell says
"""
