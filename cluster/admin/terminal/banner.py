"""What a session begins with (W3.1). The machine is made up: no client reads more of it than that it is there."""

BANNER = (
    "Command Line Interface is starting up, please wait ...",
    "",
    "   Welcome to the Platform Command Line Interface",
    "",
    "VMware Installation:",
    "\t2 vCPU: Intel(R) Xeon(R) CPU",
    "\tDisk 1: 110GB, Partitions aligned",
    "\t8192 Mbytes RAM",
    "",
)
