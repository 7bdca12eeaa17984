"""What makes the generated files of the Helm chart."""
