"""The shared nouns: exchanges, observations, samples, the catalogue, shared totals, the queue between processes.

To add a metric: one row in `catalogue.py`. To add an endpoint that is recognised by its path: one row in
`routes.py`. This room imports no other; it is loaded by the data plane, so it imports neither numpy nor any SDK.
"""
