"""`python -m llm_server`."""

import sys

from llm_server.app import create_app
from service_kit.web import run_service

if __name__ == "__main__":
    sys.exit(run_service("llm", create_app))
