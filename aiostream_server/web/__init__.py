"""HTTP and nothing else: the app factory, routes, middlewares, sockets.

A route is a path and a protocol of `protocols`. What an app serves is opened by `service.composition`.
"""
