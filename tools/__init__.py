"""Commands around the services: setting up, demo, clients, load test, evaluation."""
