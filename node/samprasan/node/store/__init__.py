"""The node's rows, one module an aggregate.  Every function takes the open transaction."""
