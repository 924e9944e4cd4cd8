"""What stands in front of the proxy, each program as deploy/front configures it: `pytest -m servers`.

    apt-get install nginx haproxy caddy apache2-bin varnish

One guarded proxy, and one start of each program. Each listens twice: as configured in deploy/front, and as the program
comes, to see what its configuration is for. docs/reverse-proxies.md says of both what is tested here.
"""
