"""Where the scores of coalitions come from: given in the file, or measured by somebody.

`measured.py` says what all of them do; `sources.py` chooses one for a configuration.
"""
