"""Where jobs run: threads, processes, Dask, Celery."""
