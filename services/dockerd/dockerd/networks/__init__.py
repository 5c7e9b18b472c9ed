"""Networks of containers: address pools, links, firewall, published ports, sandbox files.

``controller.NetworkController`` is the public face; everything below it is private to this package.
"""
