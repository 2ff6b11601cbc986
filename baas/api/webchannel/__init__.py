"""The WebChannel surface: Listen and Write for the official web SDK in browsers (``webchannel``)."""
