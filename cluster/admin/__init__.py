"""What administrators and their programs reach on a real node: the product's own interfaces, and who may use them.

    desk        hands operations to the node's core, waits for what came of them, keeps the audit lines
    accounts    who may log in, with how much privilege; who is locked out
    naming      what is meant by the names that administrators write
    website     HTTP in the connections of Cisco Tomcat's listeners, and what every page has in common
    soap        Control Center Services; `control_center` lists, `soap_messages` reads and writes, both without I/O
    rest        the certificate management API; `rest_requests` reads, `rest_answers` writes, both without I/O

They decide nothing about certificates: that is the core's, whoever asks.
"""
