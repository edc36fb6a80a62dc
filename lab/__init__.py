"""THE BENCH: composition roots. Launching, measuring, replaying, showing. Imported by nothing."""
