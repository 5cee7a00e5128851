"""What a warehouse publishes for other programs: its rows as Parquet, what describes them, a catalogue, an API."""
