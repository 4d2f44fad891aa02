"""The command `fairround`: each verb parses, calls and prints."""
