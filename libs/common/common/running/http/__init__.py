"""HTTP/1.1 connections of clients, with limits of sizes, times and numbers (ADR 17)."""
