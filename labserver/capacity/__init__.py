"""What the service costs: throughput, latency, memory, start-up."""
