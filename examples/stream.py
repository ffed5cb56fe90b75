"""Grade texts on Triton directly, over one gRPC stream: ``python examples/stream.py``."""

from __future__ import annotations

import argparse
import queue
from typing import Any

import numpy as np
from tritonclient import grpc

TIMEOUT_S = 120.0
# Triton is asked directly: gRPC would use the environment's http_proxy even for this machine.
CHANNEL = [("grpc.enable_http_proxy", 0)]
CONSIGNA = "Explica què és la fotosíntesi."
ANSWERS = [
    "Les plantes agafen aigua i diòxid de carboni i, amb la llum del sol, fabriquen glucosa.",
    "La fotosíntesi és el procés pel qual les plantes fan menjar amb la llum del sol.",
    "No ho sé.",
]


def text_input(name: str, text: str) -> grpc.InferInput:
    """One STRING [1] input."""
    tensor = grpc.InferInput(name, [1], "BYTES")
    tensor.set_data_from_numpy(np.array([text.encode("utf-8")], dtype=np.object_))
    return tensor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="localhost:8001", help="Triton's gRPC address")
    args = parser.parse_args()
    arrived: queue.Queue[tuple[Any, Any]] = queue.Queue()
    with grpc.InferenceServerClient(args.url, channel_args=CHANNEL) as client:
        client.start_stream(lambda result, error: arrived.put((result, error)))
        for number, answer in enumerate(ANSWERS):
            fields = {"curso": "3r ESO", "consigna": CONSIGNA, "respuesta": answer}
            inputs = [text_input(name, text) for name, text in fields.items()]
            client.async_stream_infer("evaluate", inputs, request_id=str(number))
        for _ in ANSWERS:
            result, error = arrived.get(timeout=TIMEOUT_S)
            if error is not None:
                print(f"refused: {error.message()}")
                continue
            # Answers come in the order in which they finish: the request id says whose it is.
            answer = ANSWERS[int(result.get_response().id)]
            reason, feedback = (result.as_numpy(name)[0].decode() for name in ("error", "feedback"))
            print(f"{answer[:40]:<42} {result.as_numpy('nota')[0]:>2}  {feedback or reason}")
        client.stop_stream()


if __name__ == "__main__":
    main()
