"""Have short texts marked by an Avalua service.

``AvaluaClient`` is for asyncio, ``SyncAvaluaClient`` for everything else; ``avalua_client.tables`` reads and
writes the files that people have. The command line is ``avalua``.
"""
