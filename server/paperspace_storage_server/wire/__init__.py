"""The two dialects of the Paperspace Storage API, as pure codecs: no I/O, no httpx, no settings.

An operation and its values become a `Request`; a status, headers and a body become a model or a typed
failure. `published.py` follows the published specification, `live.py` what production answers.
"""
