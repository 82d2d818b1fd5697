"""Other ways to search than with an image alone: relations, drawings, places to be filled.

What lies here maps such a query to vectors or scores over what an index already holds.
"""
