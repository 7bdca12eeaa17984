"""What deciding costs in the process, as ratios within one run."""
