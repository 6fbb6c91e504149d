"""Servers that run in processes of their own: the fast upstream, the relay, the forwarding aiohttp proxy.

Each is started as `python -m bench.servers.<name> --listen PORT [--upstream PORT]`, on loopback only.
"""
