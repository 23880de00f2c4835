"""`[server] tls_certificate` and `tls_key`: HTTPS without a proxy in front.

certificate  reads and checks the two files, and reads them again without a restart
connection   one client's TLS, with OpenSSL between its socket and aiohttp, and the switch to the event loop's own
"""
