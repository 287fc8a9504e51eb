"""A server in the place of the model's, on this machine: it answers each request of Codex at once, or when it is told to.

What a prompt says decides what it does: ``run: COMMAND`` calls the shell, ``spawn`` begins an agent, and ``wait`` keeps
the turn open until the server ends. Everything else is answered.
"""

import contextlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from typing import Any, Self

_numbers = count()


def answers(request: bytes) -> Iterator[dict[str, Any]]:
    """What the model does next: a call of a tool, or, where one was answered already, its last word."""
    number = next(_numbers)
    called = b"function_call_output" in request
    if b"run: " in request and not called:
        command = request.rpartition(b"run: ")[2].partition(b'"')[0].decode()
        yield _call(number, "exec_command", {"cmd": command})
    elif b"spawn" in _last_prompt(request) and not called:
        yield _call(number, "spawn_agent", {"message": "count to three"}) | {"namespace": "multi_agent_v1"}
    else:
        said = [{"type": "output_text", "text": f"Answer {number}."}]
        yield {"type": "message", "role": "assistant", "id": f"msg_{number}", "content": said}


def _call(number: int, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
    told = {"id": f"fc_{number}", "call_id": f"call_{number}", "arguments": json.dumps(arguments)}
    return {"type": "function_call", "name": name} | told


def _last_prompt(request: bytes) -> bytes:
    """The last thing that the user said."""
    try:
        said = [each for each in json.loads(request)["input"] if each.get("role") == "user"]
        return json.dumps(said[-1]["content"]).encode()
    except (ValueError, KeyError, IndexError, TypeError):
        return b""


class Model:
    """The server, while the context lasts; ``address`` is where it is."""

    def __init__(self) -> None:
        self._over = threading.Event()
        over = self._over

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._reply("application/json", b'{"models":[],"data":[]}')

            def do_POST(self) -> None:
                request = self.rfile.read(int(self.headers.get("content-length", 0)))
                number = next(_numbers)
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("connection", "close")
                self.end_headers()
                self._tell({"type": "response.created", "response": {"id": f"r{number}"}})
                for item in answers(request):
                    self._tell({"type": "response.output_item.done", "item": item})
                if b"wait" in _last_prompt(request):
                    over.wait(60)
                usage = {"input_tokens": 10, "output_tokens": 5, "total_tokens": 15}
                usage |= {"input_tokens_details": None, "output_tokens_details": None}  # type: ignore[dict-item]
                self._tell({"type": "response.completed", "response": {"id": f"r{number}", "usage": usage}})
                self.close_connection = True

            def _tell(self, event: dict[str, Any]) -> None:
                self.wfile.write(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())
                self.wfile.flush()

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
