"""What carries a lab's bus: the embedded broker, a Mosquitto that ucmlab runs, or somebody else's broker."""
