"""What a scoring model finds, and what an explanation shows, of anomalies that were put there."""
