"""What watches a lab: boards for Grafana, rules for Prometheus. Nothing of it decides anything."""
