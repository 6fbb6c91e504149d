"""The stand-in of vLLM with metrics of its own: `python -m tests.pictures.vllm PORT`.

Requests in hand and tokens are counted as they come; the size of its cache is made up.
"""

import sys
import time
from collections import Counter

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.e2e.llm_server import MODEL, application

# Tokens that the cache would hold, and those that a request in hand takes.
CACHE, REQUEST = 4096, 620
# As if this many could be worked on at once.
SLOTS = 3


class Figures:
    """What is told of the requests."""

    def __init__(self) -> None:
        self.sums: Counter[str] = Counter()
        self.inside = 0

    @web.middleware
    async def counted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.method != "POST":
            return await handler(request)
        self.inside += 1
        began, waited = time.monotonic(), 0.004 * max(0, self.inside - SLOTS)
        self.sums["prefix_cache_queries"] += 400
        self.sums["prefix_cache_hits"] += 400 * (self.inside % 3) // 3
        try:
            return await handler(request)
        finally:
            self.inside -= 1
            self.sums["requests"] += 1
            self.sums["queued"] += int(waited * 1e6)
            self.sums["inferred"] += int((time.monotonic() - began) * 1e6)

    async def told(self, _: web.Request) -> web.Response:
        name = f'{{engine="0",model_name="{MODEL}"}}'
        sums = self.sums
        rows = (
            ("num_requests_running", "gauge", min(self.inside, SLOTS)),
            ("num_requests_waiting", "gauge", max(0, self.inside - SLOTS)),
            ("kv_cache_usage_perc", "gauge", min(1.0, self.inside * REQUEST / CACHE)),
            ("prefix_cache_queries_total", "counter", sums["prefix_cache_queries"]),
            ("prefix_cache_hits_total", "counter", sums["prefix_cache_hits"]),
            ("num_preemptions_total", "counter", sums["requests"] // 97),
            ("request_success_total", "counter", sums["requests"]),
        )
        lines = [f"# TYPE vllm:{key} {kind}\nvllm:{key}{name} {value}" for key, kind, value in rows]
        for key, word in (
            ("request_queue_time_seconds", "queued"),
            ("request_inference_time_seconds", "inferred"),
        ):
            count, total = sums["requests"], sums[word] / 1e6
            lines.append(f"# TYPE vllm:{key} histogram")
            lines.append(f'vllm:{key}_bucket{{engine="0",model_name="{MODEL}",le="+Inf"}} {count}')
            lines.append(f"vllm:{key}_count{name} {count}\nvllm:{key}_sum{name} {total}")
        lines.append(f'vllm:cache_config_info{{engine="0",block_size="16",num_gpu_blocks="{CACHE // 16}"}} 1')
        return web.Response(
            text="\n".join(lines) + "\n", headers={"content-type": "text/plain; version=0.0.4"}
        )


def main(port: int) -> None:
    """Serve until killed."""
    figures = Figures()

    async def made() -> web.Application:
        app = application()
        app.middlewares.append(figures.counted)
        app.router.add_get("/metrics", figures.told)
        return app

    web.run_app(made(), host="127.0.0.1", port=port, print=None)


if __name__ == "__main__":
    main(int(sys.argv[1]))
