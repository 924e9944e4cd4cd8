"""A Redis without a redis-server: fakeredis behind a TCP port, run as `python embedded_redis.py PORT`."""

import sys
from typing import Any

from fakeredis import TcpFakeServer
from redis.exceptions import ResponseError


def keeping_connections(handler: type[Any]) -> type[Any]:
    """Return a handler that answers an error with an error, as Redis does.

    fakeredis hangs up after every error reply, so the first EVALSHA of a script (NOSCRIPT) costs the connection over
    which redis-py would have loaded it: LiteLLM then counts in the process, and gives back in Redis.
    """

    class Handler(handler):  # type: ignore[misc]
        def setup(self) -> None:
            super().setup()
            raising = self.current_client.read_response

            def answering(*args: Any, **kwargs: Any) -> Any:
                try:
                    return raising(*args, **kwargs)
                except ResponseError as error:
                    return error

            self.current_client.read_response = answering

    return Handler


def main() -> None:
    """Serve on the loopback until the process is killed."""
    server = TcpFakeServer(("127.0.0.1", int(sys.argv[1])))
    server.RequestHandlerClass = keeping_connections(server.RequestHandlerClass)
    server.daemon_threads = True
    server.serve_forever()


if __name__ == "__main__":
    main()
