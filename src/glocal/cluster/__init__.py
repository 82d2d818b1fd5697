"""Galleries whose vectors lie in a Milvus cluster (extra ``cluster``); nothing is imported here."""
