"""`python -m llm_stream_server`."""

import sys

from llm_stream_server.app import create_app
from service_kit.web import run_service

if __name__ == "__main__":
    sys.exit(run_service("stream", create_app))
