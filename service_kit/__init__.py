"""What all Yiju services stand on: settings, errors, web app, HTTP clients, passage index.

Imports no service. The services import from here and never from each other.
"""
