"""What requests and answers look like, for the OpenAPI document: tables of types, held against real answers by tests."""
