"""The broker between those who ask for jobs and those who do them."""
