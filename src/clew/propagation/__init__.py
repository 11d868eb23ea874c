"""Private. Carries ids across services, threads, forks and pools, where no context goes itself."""
