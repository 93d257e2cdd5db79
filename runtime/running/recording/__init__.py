"""Calls of an application kept in a file, with what people say of them: written beside the calls, read by a compile."""
