"""The MCP tier: the API as tools for language models."""
