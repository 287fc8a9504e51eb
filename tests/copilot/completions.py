"""A server in the place of the model's, on this machine: it answers each request of Copilot at once.

What a prompt says decides what it does: ``wait`` keeps the turn open until the server ends. Everything else is answered.
"""

import contextlib
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self

_numbers = count()


class Completions:
    """The server, while the context lasts; ``address`` is where it is."""

    def __init__(self) -> None:
        self._over = threading.Event()
        over = self._over

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply("application/json", b'{"object":"list","data":[]}')

            def do_POST(self) -> None:
                asked = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
                said = [each for each in asked.get("messages", []) if each.get("role") == "user"]
                if asked.get("tools") and "wait" in json.dumps(said[-1:]):
                    over.wait(60)
                answer = {"role": "assistant", "content": f"Answer {next(_numbers)}."}
                if not asked.get("stream"):
                    whole = [{"index": 0, "message": answer, "finish_reason": "stop"}]
                    self._reply("application/json", json.dumps(_told(whole, "chat.completion")).encode())
                    return
                parts: list[dict[str, Any]] = [
                    {"delta": answer, "finish_reason": None},
                    {"delta": {}, "finish_reason": "stop"},
                ]
                lines = [_told([{"index": 0} | part], "chat.completion.chunk") for part in parts]
                body = b"".join(b"data: %b\n\n" % json.dumps(line).encode() for line in lines)
                self._reply("text/event-stream", body + b"data: [DONE]\n\n")

            def _reply(self, kind: str, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args: object) -> None:
                pass

            def handle(self) -> None:
                with contextlib.suppress(OSError):  # the program was killed
                    super().handle()

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever)

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _told(choices: list[dict[str, Any]], kind: str) -> dict[str, Any]:
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return {"id": "c", "object": kind, "created": 1, "model": "test", "choices": choices, "usage": usage}
