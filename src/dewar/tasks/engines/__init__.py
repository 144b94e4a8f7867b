"""The engines that run jobs: threads, processes, Dask, Celery."""
