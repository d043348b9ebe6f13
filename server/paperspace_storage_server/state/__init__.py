"""What calls of several processes share: one port, three forms. It knows no API, no tool and no protocol."""
