"""The gRPC surface: HTTP/2 connections, calls, and the google.firestore.v1.Firestore service."""
