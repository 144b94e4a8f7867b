"""Work in the background: pools of threads, processes and other machines, and a ledger of jobs."""
