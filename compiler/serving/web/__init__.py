"""Compiled programs behind HTTP and MCP."""
