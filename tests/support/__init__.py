"""What several tests share: databases, jobs, clusters, terminals, a browser."""
