"""`python -m es_search`: serve on YIJU_SEARCH_HOST, YIJU_SEARCH_PORT."""

import sys

from es_search.app import create_app
from service_kit.web import run_service

if __name__ == "__main__":
    sys.exit(run_service("search", create_app))
