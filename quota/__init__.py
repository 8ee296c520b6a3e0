"""The rules of GPU time: amounts, calendar, books, decisions.

No web, no JupyterHub, no network.
"""
