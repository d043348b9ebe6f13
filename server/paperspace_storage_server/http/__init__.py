"""The way to the API, and the only place that imports httpx: key, budget, repeats, connection pool."""
