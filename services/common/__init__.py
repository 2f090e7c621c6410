"""What every service uses and no service is known to."""
