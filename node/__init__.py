"""One server of the cluster: its certificates, stores, rules and services, and the trust that it holds."""
