"""`python -m rag_server`."""

import sys

from rag_server.app import create_app
from service_kit.web import run_service

if __name__ == "__main__":
    sys.exit(run_service("rag", create_app))
