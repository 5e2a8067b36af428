"""The world's certification authorities: what they make of a request, chains, PKCS#7, CRLs. No time, no files.

Stories and `ucmlab ca` use the same engine; only `folder` keeps one on a disk. The same key, serial and dates give the
same bytes.
"""
